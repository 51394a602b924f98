import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inject, vi } from 'vitest';
import { connectOpenAi } from '../../infra/cli/run.ts';
import { openConfluentRegistry } from '../../infra/codec/confluent-registry.ts';
import type { SchemaRegistry } from '../../infra/codec/registry.ts';
import {
  settingsOf as semanticSettings,
  type ResolvedEndpoint,
} from '../../infra/config/settings.ts';
import { openClusterHome, type ClusterHome } from '../../infra/home/cluster.ts';
import type { LogRecord } from '../../infra/log/log.ts';
import { openTopicAdmin } from '../../infra/log/kafka/topics.ts';
import { scan } from '../../infra/log/scan.ts';
import { silentLogger } from '../../infra/logger.ts';
import { work, type WorkerProgress } from '../../infra/run/worker.ts';
import { systemTime } from '../../infra/time.ts';
import { applyTopics } from '../../infra/topics/topics.ts';
import type { Outcome } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import {
  firstSteps,
  groupOf,
  nameOnLog,
  type Topic,
  type TopicInfo,
} from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { configOf, endpointOf } from '../run/support.ts';
import { instantModel, type InstantModel } from '../support/model.ts';
import { freshPrefix, settingsOf } from './logs.ts';

/** A pipeline of its own on the shared broker, with its schemas in a real registry. */
export interface Pipeline {
  readonly name: string;
  readonly registry: SchemaRegistry;
  /** By which a command finds it. */
  readonly where: readonly string[];
  /** The same with a home, for commands that have one. */
  readonly flags: readonly string[];
  /** A member of it that reads and writes as this version does. */
  open(): Promise<ClusterHome>;
  /** A worker within this process; resolves when it works. */
  worker(options?: WorkerChange): Promise<Worker>;
  /** The name of a topic on the log. */
  topic(topic: TopicInfo): string;
  /** Ends its workers, and all that was opened. */
  close(): Promise<void>;
}

export interface WorkerChange {
  readonly stages?: readonly string[];
  /** Of the configuration file. */
  readonly config?: unknown;
  readonly model?: InstantModel;
  /** A model server, in place of a model within this process. */
  readonly url?: string;
  readonly progress?: (progress: WorkerProgress) => void;
}

export interface Worker {
  /** Rejects if it cannot go on. */
  readonly working: Promise<void>;
  stop(): Promise<void>;
}

export interface PipelineChange {
  readonly partitions?: number;
  /** Settings of topics that differ from what they need, by short name. */
  readonly configs?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  /** Another than the shared registry. */
  readonly registryUrl?: string;
  readonly name?: string;
}

export async function pipelineOf(change: PipelineChange = {}): Promise<Pipeline> {
  const { partitions = 2, registryUrl = inject('registryUrl'), name = freshPrefix() } = change;
  const closers: (() => Promise<void>)[] = [];
  const registry = await openConfluentRegistry({ url: registryUrl, timeoutMs: 2000 });
  closers.push(async () => {
    registry.close();
    await Promise.resolve();
  });
  const admin = openTopicAdmin({
    settings: settingsOf(),
    time: systemTime,
    logger: silentLogger,
  });
  try {
    // As `spar topics apply` does.
    await applyTopics({
      topics: Object.values(topics),
      asked: { pipeline: name, partitions, replication: 1, compression: 'zstd' },
      admin,
      registry,
      time: systemTime,
      report: () => Promise.resolve(),
    });
    for (const [topic, configs] of Object.entries(change.configs ?? {})) {
      await admin.configure(`${name}.${topic}`, configs);
    }
  } finally {
    await admin.close();
  }
  const folder = await mkdtemp(join(tmpdir(), 'spar-cluster-'));
  closers.push(() => rm(folder, { recursive: true, force: true }));
  const open = async (): Promise<ClusterHome> => {
    const home = await openClusterHome({
      folder,
      pipeline: name,
      cluster: { kafka: settingsOf(), registry: null as never, secrets: [] },
      registry,
      time: systemTime,
      logger: silentLogger,
    });
    closers.push(() => home.close());
    return home;
  };
  const where = ['--brokers', inject('brokers'), '--registry', registryUrl, '--pipeline', name];
  return {
    name,
    registry,
    open,
    where,
    flags: [...where, '--home', join(folder, 'command')],
    topic: (topic) => nameOnLog(name, topic),
    async worker({ stages, config: changes, model = instantModel(rates), url, ...told } = {}) {
      const home = await open();
      const config = configOf(changes ?? {});
      const endpoint = url === undefined ? endpointOf() : simulated(url);
      const { version } = endpoint;
      const stop = new AbortController();
      const joined = Promise.withResolvers<undefined>();
      const working = work({
        home,
        config,
        settings: semanticSettings(config, '1', {
          actor: version,
          judge: version,
          refiner: version,
        }),
        endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
        connect: url === undefined ? () => model : connectOpenAi,
        stages: stages ?? null,
        time: systemTime,
        logger: silentLogger,
        progress: (progress) => {
          told.progress?.(progress);
          if (progress.stages.every((stage) => stage.joined)) joined.resolve(undefined);
        },
        progressMs: 50,
        notice: () => undefined,
        stop: stop.signal,
      });
      working.catch(() => undefined);
      const end = async () => {
        stop.abort(new Error('the test is over'));
        await working.catch(() => undefined);
      };
      closers.push(end);
      await Promise.race([joined.promise, working]);
      return { working, stop: end };
    },
    async close() {
      for (const close of closers.toReversed()) await close();
    },
  };
}

/** The simulator at this address, as a process on the command line calls it. */
export const simulated = (url: string): ResolvedEndpoint =>
  endpointOf({ urls: [url], model: 'simulated', version: 'simulated' });

/** Half of the responses fail, and half of the refinements pass. */
const rates = { failRate: 0.4, refineRate: 0.4 };

export interface Decoded<Row> extends LogRecord {
  readonly row: Row;
}

export async function recordsOf<Row>(
  home: ClusterHome,
  topic: Topic<Row>,
): Promise<readonly Decoded<Row>[]> {
  const records: Decoded<Row>[] = [];
  for await (const record of scan(home.log, nameOnLog(home.pipeline, topic))) {
    const row = (await home.serde.decode(topic.schema, record.value, record)) as Row;
    records.push({ ...record, row });
  }
  return records;
}

export async function rawOf(home: ClusterHome, topic: TopicInfo): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  for await (const record of scan(home.log, nameOnLog(home.pipeline, topic))) records.push(record);
  return records;
}

export const outcomesOf = async (home: ClusterHome): Promise<readonly Outcome[]> =>
  (await recordsOf(home, topics.outcomes)).map(({ row }) => row);

/** Waits for what must come. */
export const until = <Result>(check: () => Result | Promise<Result>, timeout = 60_000) =>
  vi.waitFor(check, { interval: 200, timeout });

/** Records that a stage has before it: from where its group stands to the end of its topic, markers included. */
export async function lagsOf(home: ClusterHome): Promise<Readonly<Record<string, number>>> {
  const first = firstSteps(dataflow);
  const lags = Object.entries(dataflow).map(async ([name, { from }]) => {
    const topic = nameOnLog(home.pipeline, from);
    const group = groupOf(home.pipeline, name, first.has(name) ? '1' : null);
    const committed = await home.log.committed(group, topic);
    const ends = await home.log.ends(topic);
    const lag = ends.reduce(
      (sum, { partition, latest }) => sum + latest - (committed[partition]?.position ?? 0),
      0,
    );
    return [name, lag] as const;
  });
  return Object.fromEntries(await Promise.all(lags));
}
