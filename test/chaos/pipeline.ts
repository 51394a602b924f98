import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { startBroker, type Broker } from '../../infra/cluster/broker.ts';
import { startRegistry } from '../../infra/cluster/registry.ts';
import { makeTopics } from '../support/topics.ts';
import { spar, startSimulator, type Process } from './processes.ts';

export interface PipelineOptions {
  readonly instructions: number;
  readonly partitions: number;
  /** Generations in flight of one worker at most. */
  readonly inFlight: number;
  /** That every call takes, and what comes on top for each token of its answer. */
  readonly latencyMs: number;
  readonly decodeMs: number;
  readonly seed: number;
}

/** A pipeline with everything around it: broker, registry, model server; workers come and go. */
export interface Pipeline {
  readonly name: string;
  readonly folder: string;
  readonly broker: Broker;
  readonly modelUrl: string;
  /** Puts all instructions into the stream, as often as it takes. */
  ingest(): Promise<void>;
  worker(): Process;
}

const name = 'chaos';

export async function startPipeline(options: PipelineOptions): Promise<Pipeline> {
  const folder = mkdtempSync(join(tmpdir(), 'spar-chaos-'));
  const keep = process.env['CHAOS_KEEP'] !== undefined;
  onTestFinished(() => {
    if (keep) process.stderr.write(`kept: ${folder}\n`);
    else rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
  });
  mkdirSync(join(folder, 'broker'));
  const [broker, registry] = await Promise.all([
    startBroker({ folder: join(folder, 'broker') }),
    startRegistry(),
  ]);
  onTestFinished(async () => {
    await Promise.all([broker.stop(), registry.stop()]);
  });
  const { partitions } = options;
  await makeTopics({ brokers: broker.brokers, registry: registry.url, pipeline: name, partitions });
  const { url } = await startSimulator([
    ...['--latency', String(options.latencyMs), '--decode', String(options.decodeMs)],
    ...['--fail-rate', '0.5', '--refine-rate', '0.5', '--seed', String(options.seed)],
  ]);
  /** The same for all, but for the name under which they ask the model. */
  const configFor = (user: string): string => {
    const file = join(folder, `${user.replace(' ', '-')}.yaml`);
    const config = configOf(options, { url, user }, broker.brokers, registry.url);
    // YAML holds JSON.
    writeFileSync(file, JSON.stringify(config));
    return file;
  };
  // As it is given, so its name is on the records, which are to be the same in every run.
  const input = 'instructions.jsonl';
  writeFileSync(join(folder, input), Array.from({ length: options.instructions }, line).join(''));
  const home = join(folder, 'home');
  let [workers, ingests] = [0, 0];

  return {
    name,
    folder,
    broker,
    modelUrl: url,
    async ingest() {
      for (;;) {
        ingests++;
        const log = `ingest-${ingests}.log`;
        const args = ['ingest', input, '--config', configFor('ingest'), '--home', home];
        const ended = await spar(`ingest ${ingests}`, args, { folder, log }).ended;
        if (ended.code === 0) return;
        if (ingests > 50) throw new Error(`ingest has failed ${ingests} times, see ${log}`);
        await sleep(500);
      }
    },
    worker() {
      workers++;
      const user = `worker ${workers}`;
      const args = ['worker', '--config', configFor(user), '--home', home, '--json'];
      return spar(user, args, { folder, log: `worker-${workers}.log` });
    },
  };
}

const line = (_: unknown, index: number): string =>
  `${JSON.stringify({ id: `i${index}`, prompt: `Write about ${index}.` })}\n`;

const configOf = (
  options: PipelineOptions,
  { url, user }: { readonly url: string; readonly user: string },
  brokers: string,
  registry: string,
): object => ({
  pipeline: name,
  models: { default: { url, model: 'simulated', extra_body: { user } } },
  sample: { responses: 1 },
  judge: { votes: 3, rounds: 2 },
  search: { branch: 2, keep: 1, depth: 2 },
  limits: {
    max_in_flight: options.inFlight,
    first_in_flight: options.inFlight,
    records: 8192,
    open_trees: 5000,
    shutdown_ms: 20_000,
    deadline_ms: 60_000,
  },
  kafka: { brokers, session_ms: 10_000, heartbeat_ms: 1000, rebalance_ms: 20_000 },
  registry: { url: registry },
  log_level: process.env['CHAOS_LOG'] ?? 'info',
});
