/**
 * Do more workers do more? The same instructions on a real broker and registry with one to four worker processes, each
 * with a fixed number of generations in flight at a server that takes the same time over every call: the work waits for
 * the model, as it does in earnest.
 *
 *   node test/bench/scale.ts [--workers 1,2,3,4] [--in-flight 48] [--latency 500] [--settle 8] [--seconds 20]
 *
 * It starts broker, registry and server of its own. Prints JSON: pairs per second for each number of workers once they
 * have settled, and relative to one worker; and the cores that the machine has for all of it.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startBroker } from '../../infra/cluster/broker.ts';
import { startRegistry } from '../../infra/cluster/registry.ts';
import { openKafkaLog } from '../../infra/log/kafka/kafka.ts';
import { kafkaDefaults } from '../../infra/log/kafka/settings.ts';
import type { Log } from '../../infra/log/log.ts';
import { scan } from '../../infra/log/scan.ts';
import { silentLogger } from '../../infra/logger.ts';
import { systemTime } from '../../infra/time.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { makeTopics } from '../support/topics.ts';
import { rounded, startServer, startSpar } from './parts.ts';

const { values } = parseArgs({
  options: {
    workers: { type: 'string', default: '1,2,3,4' },
    'in-flight': { type: 'string', default: '48' },
    latency: { type: 'string', default: '500' },
    settle: { type: 'string', default: '8' },
    seconds: { type: 'string', default: '20' },
  },
});
const [inFlight, latencyMs] = [Number(values['in-flight']), Number(values.latency)];
const [settle, seconds] = [Number(values.settle), Number(values.seconds)];
/** As many for each worker, whether they are three or four. */
const partitions = 12;

interface Cluster {
  readonly brokers: string;
  readonly registry: string;
  readonly model: string;
}

const openLog = ({ brokers }: Cluster, pipeline: string) =>
  openKafkaLog({
    settings: { ...kafkaDefaults, brokers: [brokers] },
    pipeline,
    topics: Object.values(topics).map((topic) => ({ ...topic, name: nameOnLog(pipeline, topic) })),
    tables: null,
    time: systemTime,
    logger: silentLogger,
  });

/** How long the workers may take until they all have their first pairs. */
const beginMsMax = 120_000;

async function begun(log: Log, topic: string, pairs: number): Promise<void> {
  const deadline = performance.now() + beginMsMax;
  for (;;) {
    const written = (await log.ends(topic)).reduce((sum, { latest }) => sum + latest, 0);
    if (written >= pairs) return;
    if (performance.now() > deadline) throw new Error('the workers do not begin');
    await sleep(500);
  }
}

/** Pairs per second of so many workers, in a pipeline of their own. */
async function rateOf(workers: number, cluster: Cluster): Promise<number> {
  const pipeline = `scale${workers}`;
  const folder = mkdtempSync(join(tmpdir(), 'spar-scale-'));
  const [file, config] = [join(folder, 'instructions.jsonl'), join(folder, 'spar.yaml')];
  // More than they can do: an instruction takes at least four calls with one place each.
  const count = Math.ceil((workers * inFlight * (settle + seconds + 20) * 1000) / latencyMs / 4);
  writeFileSync(
    file,
    Array.from(
      { length: count },
      (_, index) => `${JSON.stringify({ id: `i${index}`, prompt: `Write letter ${index}.` })}\n`,
    ).join(''),
  );
  writeFileSync(
    config,
    // YAML holds JSON.
    JSON.stringify({
      pipeline,
      models: { default: { url: cluster.model, model: 'bench' } },
      ...{ sample: { responses: 1 }, judge: { votes: 1 } },
      limits: { max_in_flight: inFlight, first_in_flight: inFlight, shutdown_ms: 2000 },
      kafka: { brokers: cluster.brokers },
      registry: { url: cluster.registry },
    }),
  );
  await makeTopics({ ...cluster, pipeline, partitions });
  const args = ['--config', config, '--home', join(folder, 'home')];
  const [code] = (await once(startSpar(['ingest', file, ...args]), 'exit')) as [number | null];
  if (code !== 0) throw new Error(`ingest ended with ${code}`);
  const running = Array.from({ length: workers }, () => startSpar(['worker', ...args, '--json']));
  const ends = running.map((worker) => once(worker, 'exit'));
  const log = await openLog(cluster, pipeline);
  const topic = nameOnLog(pipeline, topics.pairs);
  try {
    await begun(log, topic, 20 * workers);
    await sleep(settle * 1000);
    const from = Date.now();
    await sleep(seconds * 1000);
    for (const worker of running) worker.kill('SIGTERM');
    await Promise.all(ends);
    let pairs = 0;
    for await (const { timestamp } of scan(log, topic)) {
      if (timestamp >= from && timestamp < from + seconds * 1000) pairs++;
    }
    return pairs / seconds;
  } finally {
    for (const worker of running) worker.kill('SIGKILL');
    await Promise.all(ends);
    await log.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const [broker, registry, server] = await Promise.all([
  startBroker(),
  startRegistry(),
  startServer(['--latency', String(latencyMs)]),
]);
try {
  const cluster = { brokers: broker.brokers, registry: registry.url, model: server.url };
  const results: { readonly workers: number; readonly pairsPerSecond: number }[] = [];
  for (const workers of values.workers.split(',').map(Number)) {
    const pairsPerSecond = await rateOf(workers, cluster);
    results.push({ workers, pairsPerSecond });
    process.stderr.write(`${workers} workers: ${rounded(pairsPerSecond, 1)} pairs/s\n`);
  }
  const one = results[0]?.pairsPerSecond ?? Number.NaN;
  process.stdout.write(
    `${JSON.stringify(
      {
        bench: 'scale',
        ...{ inFlightOfAWorker: inFlight, latencyMs, partitions, seconds },
        cores: availableParallelism(),
        results: results.map(({ workers, pairsPerSecond }) => ({
          workers,
          pairsPerSecond: rounded(pairsPerSecond, 1),
          relative: rounded(pairsPerSecond / one, 2),
        })),
      },
      null,
      2,
    )}\n`,
  );
} finally {
  await server.stop();
  await Promise.all([broker.stop(), registry.stop()]);
}
