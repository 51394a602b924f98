import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { topics } from '../../topology/topics.ts';
import { nameOnLog } from '../../topology/topology.ts';
import type { SchemaRegistry } from '../codec/registry.ts';
import { createSerde } from '../codec/serde.ts';
import type { ClusterSettings } from '../config/cluster.ts';
import { plainReaders } from '../input/instruction.ts';
import {
  openSharedJournal,
  readAllCounters,
  readAllNotes,
  type SharedJournal,
} from '../journal/shared.ts';
import { openKafkaLog, type KafkaLog, type Handover } from '../log/kafka/kafka.ts';
import type { Logger } from '../logger.ts';
import type { Time } from '../time.ts';
import type { Home, HomeView } from './home.ts';

/** A pipeline on a cluster, with the folder where this machine keeps its journals and tables. */
export interface ClusterHome extends Home {
  readonly log: KafkaLog;
  readonly journal: SharedJournal;
  /** Ends the log, then what else this process does in its slot, and then the journal, which gives the slot away. */
  close(inSlot?: () => Promise<void>): Promise<void>;
}

export interface ClusterOptions {
  readonly folder: string;
  readonly pipeline: string;
  readonly cluster: ClusterSettings;
  /** Whoever opened it closes it, after the home. */
  readonly registry: SchemaRegistry;
  readonly time: Time;
  readonly logger: Logger;
}

/**
 * Opens a pipeline on a cluster for work. Any number of processes may do so at a time, those of one machine in one
 * folder.
 *
 * @throws RunError if topics are missing; UsageError if their schemas are; Unavailable if nobody answers
 */
export async function openClusterHome(
  options: ClusterOptions & {
    /** Asks the other processes of the folder for a partition before it is taken over. */
    readonly handover?: Handover;
  },
): Promise<ClusterHome> {
  const { folder, pipeline, registry, time } = options;
  mkdirSync(folder, { recursive: true });
  const log = await openLog(options, join(folder, 'tables'));
  try {
    const serde = createSerde(registry, pipeline, plainReaders);
    await serde.prepare(Object.values(topics), { register: false });
    const journal = openSharedJournal({ folder, time });
    return {
      folder,
      pipeline,
      log,
      serde,
      registry,
      journal,
      isShared: true,
      async close(inSlot = () => Promise.resolve()) {
        try {
          await log.close();
        } finally {
          await inSlot().finally(() => journal.close());
        }
      },
    };
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** Opens a pipeline on a cluster for reading only; the tables of workers of this machine are of use, if there are any. */
export async function viewClusterHome(options: ClusterOptions): Promise<HomeView> {
  const { folder, pipeline, registry } = options;
  const tables = join(folder, 'tables');
  const log = await openLog(options, existsSync(tables) ? tables : null);
  return {
    folder,
    pipeline,
    log,
    serde: createSerde(registry, pipeline, plainReaders),
    registry,
    isShared: true,
    counters: (iteration) => readAllCounters(folder, iteration),
    notes: (key) => readAllNotes(folder, key),
    close: () => log.close(),
  };
}

const openLog = (
  { pipeline, cluster, time, logger, ...options }: ClusterOptions & { handover?: Handover },
  tables: string | null,
): Promise<KafkaLog> =>
  openKafkaLog({
    settings: cluster.kafka,
    topics: Object.values(topics).map((topic) => ({
      name: nameOnLog(pipeline, topic),
      keyed: topic.keyed,
    })),
    pipeline,
    tables,
    ...(options.handover && { handover: options.handover }),
    time,
    logger,
  });
