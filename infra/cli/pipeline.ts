import { join } from 'node:path';
import type { Command } from 'commander';
import { topics } from '../../topology/topics.ts';
import { createSerde } from '../codec/serde.ts';
import { resolveCluster, topicsAsked, type ClusterSettings } from '../config/cluster.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { openHome, viewHome, type Home, type HomeView } from '../home/home.ts';
import { createLogger, type Logger } from '../logger.ts';
import type { Gateway } from '../model/gateway.ts';
import { openSiblings, type Siblings } from '../siblings/siblings.ts';
import { systemTime } from '../time.ts';
import { homeFlag, type PipelineFlags } from './flags.ts';
import { overridesOf } from './options.ts';

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
  ...(await import('../home/cluster.ts')),
  ...(await import('../codec/confluent-registry.ts')),
  ...(await import('../topics/assert.ts')),
});

async function viewCluster(
  folder: string,
  pipeline: string,
  cluster: ClusterSettings,
): Promise<HomeView> {
  const { viewClusterHome, openConfluentRegistry } = await loadCluster();
  const registry = await openConfluentRegistry(cluster.registry);
  try {
    const view = await viewClusterHome({
      folder,
      pipeline,
      cluster,
      registry,
      time: systemTime,
      // Whoever only looks has no log of its own; what matters is an error.
      logger: createLogger({ level: 'error', file: null, secrets: () => cluster.secrets }),
    });
    return closing(view, registry);
  } catch (error) {
    registry.close();
    throw error;
  }
}

const closing = (view: HomeView, registry: { readonly close: () => void }): HomeView => ({
  ...view,
  async close() {
    await view.close();
    registry.close();
  },
});

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
  flags: Omit<PipelineFlags, 'pipeline'>,
  config: Config,
  cluster: ClusterSettings | null,
  logger: Logger,
): Promise<OpenPipeline> {
  const { home: folder } = flags;
  const { pipeline } = config;
  if (!cluster) {
    const home = await openHome({ folder, pipeline, time: systemTime });
    return { home, siblings: null, serve: () => undefined, close: () => home.close() };
  }
  const { openClusterHome, openConfluentRegistry } = await loadCluster();
  await checkTopics(flags, config, cluster, logger);
  const registry = await openConfluentRegistry(cluster.registry);
  let siblings: Siblings | null = null;
  let gateway: Gateway | null = null;
  const home = await openClusterHome({
    folder,
    pipeline,
    cluster,
    registry,
    handover: async (place, signal) => (await siblings?.takeOver(place, signal)) ?? false,
    time: systemTime,
    logger,
  }).catch((error: unknown) => {
    registry.close();
    throw error;
  });
  const close = async () => {
    try {
      // Before the slot is free: whoever has it next opens a socket of the same name.
      await home.close(() => siblings?.close() ?? Promise.resolve());
    } finally {
      registry.close();
    }
  };
  try {
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
  } catch (error) {
    await close();
    throw error;
  }
  return { home, siblings, serve: (made) => (gateway = made), close };
}

/** @throws RunError if the topics of the pipeline are not as they should be, with the command that mends them */
export async function checkTopics(
  flags: Omit<PipelineFlags, 'pipeline'>,
  config: Config,
  cluster: ClusterSettings,
  logger: Logger,
): Promise<void> {
  const { assertTopics } = await loadCluster();
  await assertTopics({
    topics: Object.values(topics),
    asked: topicsAsked(config),
    remedy: `spar topics apply${homeFlag({ ...flags, home: '.spar', pipeline: config.pipeline })}`,
    settings: cluster.kafka,
    time: systemTime,
    logger,
  });
}

/** @throws UsageError or RegistryError unless the registry holds every schema that this version writes */
export async function checkSchemas(config: Config, cluster: ClusterSettings): Promise<void> {
  const { openConfluentRegistry } = await loadCluster();
  const registry = await openConfluentRegistry(cluster.registry);
  try {
    await createSerde(registry, config.pipeline).prepare(Object.values(topics), {
      register: false,
    });
  } finally {
    registry.close();
  }
}

/** The log of a process that works in a home; those of one home write to the same file. */
export const workLogger = (
  folder: string,
  config: Config,
  secrets: () => readonly string[],
): Logger => createLogger({ level: config.log_level, file: join(folder, 'spar.log'), secrets });
