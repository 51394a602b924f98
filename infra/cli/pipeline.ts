import { join } from 'node:path';
import type { Command, Option } from 'commander';
import { topics } from '../../topology/topics.ts';
import { resolveCluster, topicsAsked, type ClusterSettings } from '../config/cluster.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { openHome, viewHome, type Home, type HomeView } from '../home/home.ts';
import { createLogger, type Logger } from '../logger.ts';
import type { Gateway } from '../model/gateway.ts';
import { openSiblings, type Siblings } from '../siblings/siblings.ts';
import { systemTime } from '../time.ts';
import {
  brokersOption,
  configOption,
  homeOption,
  overridesOf,
  pipelineOption,
  registryOption,
} from './options.ts';

/** The flags by which a command finds its pipeline: in a home, or on a cluster. */
export interface PipelineFlags {
  readonly home: string;
  readonly pipeline: string;
  readonly brokers?: string;
  readonly registry?: string;
  readonly config?: string;
}

export const pipelineOptions = (): readonly Option[] => [
  homeOption(),
  brokersOption(),
  registryOption(),
  configOption(),
  pipelineOption(),
];

/** @throws UsageError with every problem of the config */
export const configOf = (flags: Pick<PipelineFlags, 'config'>, command: Command): Config =>
  loadConfig(flags.config ?? null, overridesOf(command, process.env));

/** A pipeline, opened for reading only: others may be working on it. */
export async function withView<Result>(
  flags: PipelineFlags,
  command: Command,
  use: (view: HomeView, config: Config) => Promise<Result>,
): Promise<Result> {
  const config = configOf(flags, command);
  const cluster = resolveCluster(config, process.env);
  const { pipeline } = config;
  const view = cluster
    ? await viewCluster(flags.home, pipeline, cluster)
    : await viewHome({ folder: flags.home, pipeline, time: systemTime });
  try {
    return await use(view, config);
  } finally {
    await view.close();
  }
}

/** What speaks to a cluster is loaded only where there is one. */
const loadCluster = async () => ({
  ...(await import('../topics/assert.ts')),
  ...(await import('../home/cluster.ts')),
  ...(await import('../codec/confluent-registry.ts')),
});

async function viewCluster(
  folder: string,
  pipeline: string,
  cluster: ClusterSettings,
): Promise<HomeView> {
  const { viewClusterHome, openConfluentRegistry } = await loadCluster();
  return viewClusterHome({
    folder,
    pipeline,
    cluster,
    registry: await openConfluentRegistry(cluster.registry),
    time: systemTime,
    // Whoever only looks has no log of its own; what matters is an error.
    logger: createLogger({ level: 'error', file: null, secrets: cluster.secrets }),
  });
}

/** A pipeline, opened for work. */
export interface OpenPipeline {
  readonly home: Home;
  /** What the processes of one machine tell each other; null where there is only one. */
  readonly siblings: Siblings | null;
  /** Hands in the models of this process, once there are some. */
  readonly serve: (gateway: Gateway) => void;
  readonly close: () => Promise<void>;
}

/** @throws UsageError if it cannot be opened as it was asked */
export async function openPipeline(
  folder: string,
  config: Config,
  cluster: ClusterSettings | null,
  logger: Logger,
): Promise<OpenPipeline> {
  const { pipeline } = config;
  if (!cluster) {
    const home = await openHome({ folder, pipeline, time: systemTime });
    return { home, siblings: null, serve: () => undefined, close: () => home.close() };
  }
  await assertTopicsOf(config, cluster, logger);
  const { openClusterHome, openConfluentRegistry } = await loadCluster();
  let siblings: Siblings | null = null;
  let gateway: Gateway | null = null;
  const home = await openClusterHome({
    folder,
    pipeline,
    cluster,
    registry: await openConfluentRegistry(cluster.registry),
    handover: async (place, signal) => (await siblings?.takeOver(place, signal)) ?? false,
    time: systemTime,
    logger,
  });
  siblings = await openSiblings({
    folder,
    slot: home.journal.slot,
    worker: {
      release: (place) => home.log.release(place),
      underWay: () => gateway?.underWay() ?? [],
      onEnded: (listener) => gateway?.onEnded(listener) ?? (() => undefined),
    },
    answerMs: Math.max(3000, cluster.kafka.timeouts.handoverMs),
    drawMs: config.limits.deadline_ms,
    time: systemTime,
    logger,
  });
  const opened = siblings;
  return {
    home,
    siblings: opened,
    serve: (made) => (gateway = made),
    async close() {
      await home.close();
      await opened.close();
    },
  };
}

/** @throws RunError if the topics are not there, or not as they should be, with the command that mends them */
export async function assertTopicsOf(
  config: Config,
  { kafka, registry }: ClusterSettings,
  logger: Logger,
): Promise<void> {
  const { assertTopics } = await loadCluster();
  const { pipeline } = config;
  await assertTopics({
    topics: Object.values(topics),
    asked: topicsAsked(config),
    remedy:
      `spar topics apply --brokers ${kafka.brokers.join(',')} --registry ${registry.url}` +
      (pipeline === 'spar' ? '' : ` --pipeline ${pipeline}`),
    settings: kafka,
    time: systemTime,
    logger,
  });
}

/** The log of a process that works in a home; those of one home write to the same file. */
export const workLogger = (folder: string, config: Config, secrets: readonly string[]): Logger =>
  createLogger({ level: config.log_level, file: join(folder, 'spar.log'), secrets });
