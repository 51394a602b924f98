import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createSerde } from '../../infra/codec/serde.ts';
import { openSqliteRegistry } from '../../infra/codec/sqlite-registry.ts';
import { settingsOf as semanticSettings } from '../../infra/config/settings.ts';
import { openClusterHome } from '../../infra/home/cluster.ts';
import type { Home } from '../../infra/home/home.ts';
import { scan } from '../../infra/log/scan.ts';
import { silentLogger } from '../../infra/logger.ts';
import { work } from '../../infra/run/worker.ts';
import { systemTime } from '../../infra/time.ts';
import type { Outcome, PreferencePair } from '../../schemas/records.ts';
import { partitionOf } from '../../topology/partition.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { configOf, endpointOf, runWith } from '../run/support.ts';
import { instruction } from '../runtime/support.ts';
import { memoryHome } from '../support/home.ts';
import { instantModel } from '../support/model.ts';
import { createTopics, freshPrefix, settingsOf } from './logs.ts';

const model = () => instantModel({ failRate: 0.4, refineRate: 0.4 });

/** A pipeline of its own on the shared broker, with a registry that its workers share. */
async function pipelineOf(partitions: number) {
  const pipeline = freshPrefix();
  const registry = openSqliteRegistry({ file: ':memory:' });
  await createSerde(registry, pipeline).prepare(Object.values(topics));
  await createTopics(
    Object.values(topics).map((topic) => ({ name: nameOnLog(pipeline, topic), keyed: true })),
    partitions,
  );
  const folder = await mkdtemp(join(tmpdir(), 'spar-cluster-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const open = async (): Promise<Home> => {
    const home = await openClusterHome({
      folder,
      pipeline,
      cluster: { kafka: settingsOf(), registry: null as never, secrets: [] },
      registry,
      time: systemTime,
      logger: silentLogger,
    });
    return home;
  };
  return { pipeline, open };
}

async function recordsOf<Row>(home: Home, topic: TopicInfo): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for await (const record of scan(home.log, nameOnLog(home.pipeline, topic))) {
    rows.push((await home.serde.decode(topic.schema, record.value)) as Row);
  }
  return rows;
}

/** Where an instruction came from is not what the pair is. */
const comparable = (pair: PreferencePair): object => ({ ...pair, source: '' });

const byId = (one: { id: string }, other: { id: string }) => (one.id < other.id ? -1 : 1);

test('three workers on six partitions make the same pairs as a run on one machine', async () => {
  const ids = Array.from({ length: 40 }, (_, index) => `i${index}`);
  const { pipeline, open } = await pipelineOf(6);
  // The pipeline is part of the id of each draw.
  const alone = await memoryHome(1, pipeline);
  await runWith(
    alone,
    model(),
    ids.map((id) => JSON.stringify({ id, prompt: `Write about ${id}.` })),
  );

  const source = await open();
  const config = configOf();
  const endpoint = endpointOf();
  const stop = new AbortController();
  const workers = await Promise.all(
    [1, 2, 3].map(async () => {
      const home = await open();
      const working = work({
        home,
        config,
        settings: semanticSettings(config, '1', {
          actor: endpoint.version,
          judge: endpoint.version,
          refiner: endpoint.version,
        }),
        endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
        connect: () => model(),
        stages: null,
        time: systemTime,
        logger: silentLogger,
        progress: () => undefined,
        progressMs: 100,
        notice: () => undefined,
        stop: stop.signal,
      });
      return { home, working };
    }),
  );
  await source.log.append(
    ids.map((id) => ({
      topic: nameOnLog(source.pipeline, topics.instructions),
      partition: partitionOf(id, 6),
      key: id,
      headers: {},
      value: source.serde.encode(topics.instructions, instruction(id, `Write about ${id}.`)),
    })),
  );
  await vi.waitFor(
    async () => expect(await recordsOf<Outcome>(source, topics.outcomes)).toHaveLength(40),
    { timeout: 60_000, interval: 500 },
  );
  stop.abort(new Error('done'));
  for (const { home, working } of workers) {
    await working;
    await home.close();
  }
  const pairs = (await recordsOf<PreferencePair>(source, topics.pairs)).toSorted(byId);
  const expected = (await recordsOf<PreferencePair>(alone, topics.pairs)).toSorted(byId);
  expect(expected.length).toBeGreaterThan(10);
  expect(pairs.map(comparable)).toEqual(expected.map(comparable));
  await source.close();
});
