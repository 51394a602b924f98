import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { dataflow } from '../../topology/dataflow.ts';
import { groupOf, nameOnLog, stepsBeforeLookUp, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import type { SchemaRegistry } from '../codec/registry.ts';
import { createSerde, type Serde } from '../codec/serde.ts';
import { openSqliteRegistry } from '../codec/sqlite-registry.ts';
import { UsageError } from '../errors.ts';
import { plainReaders } from '../input/instruction.ts';
import type { Journal } from '../journal/journal.ts';
import { openSqliteJournal, readCounters, readNote } from '../journal/sqlite.ts';
import type { Log } from '../log/log.ts';
import { openSqliteLog, type SqliteLog } from '../log/sqlite.ts';
import { lagOf } from '../runtime/lag.ts';
import { StorageError } from '../sqlite.ts';
import type { Time } from '../time.ts';

/** A folder with everything that a pipeline keeps on one machine. */
export interface Home {
  readonly folder: string;
  readonly pipeline: string;
  readonly log: Log;
  readonly serde: Serde;
  readonly registry: SchemaRegistry;
  readonly journal: Journal;
  /** Whether others may work on the same log at the same time. */
  readonly isShared: boolean;
  close(): Promise<void>;
}

/** What a reader sees of a home while another process writes it. */
export type HomeView = Omit<Home, 'journal'> & {
  /** What was counted for an iteration. */
  readonly counters: Journal['counters'];
  /** What was noted under a key, by each process that has noted something. */
  readonly notes: (key: string) => readonly string[];
};

const files = { log: 'log.sqlite', registry: 'schemas.sqlite', journal: 'journal.sqlite' };

/**
 * Opens a home for writing, and makes it if need be.
 *
 * @throws UsageError if another process writes it or it is from another version
 */
export async function openHome(options: {
  readonly folder: string;
  readonly pipeline: string;
  /** Of a new home; an existing one keeps its own. */
  readonly partitions?: number;
  readonly time: Time;
}): Promise<Home> {
  const { folder, pipeline, time } = options;
  return explained(async () => {
    mkdirSync(folder, { recursive: true });
    const kept = Object.values(topics);
    const log = openSqliteLog({
      file: join(folder, files.log),
      pipeline,
      topics: kept,
      ...(options.partitions !== undefined && { partitions: options.partitions }),
      time,
    });
    const registry = openSqliteRegistry({ file: join(folder, files.registry) });
    const journal = openSqliteJournal({ file: join(folder, files.journal), time });
    const serde = createSerde(registry, pipeline, plainReaders);
    await serde.prepare(kept);
    for (const topic of kept) {
      if (typeof topic.kept !== 'object' || (await isNeeded(log, pipeline, topic))) continue;
      await log.retain(nameOnLog(pipeline, topic), time.wall() - topic.kept.days * dayMs);
    }
    return {
      folder,
      pipeline,
      log,
      serde,
      registry,
      journal,
      isShared: false,
      async close() {
        await log.close();
        await journal.close();
        registry.close();
      },
    };
  });
}

const dayMs = 24 * 60 * 60 * 1000;

/** Whether a row may still be looked up, however old it is: a home may lie for months with its trees half searched. */
async function isNeeded(log: Log, pipeline: string, topic: TopicInfo): Promise<boolean> {
  for (const [name, { from }] of stepsBeforeLookUp(dataflow, topic)) {
    const lag = await lagOf(log, groupOf(pipeline, name, null), nameOnLog(pipeline, from));
    if (lag > 0) return true;
  }
  return false;
}

/**
 * Opens a home for reading only, also while a run writes it.
 *
 * @throws UsageError if there is none, or it is from another version
 */
export async function viewHome(options: {
  readonly folder: string;
  readonly pipeline: string;
  readonly time: Time;
}): Promise<HomeView> {
  const { folder, pipeline, time } = options;
  return explained(() => {
    if (!existsSync(join(folder, files.log))) {
      throw new UsageError(
        `there is no home in ${folder}: name the one of your run with --home (spar run makes it)`,
      );
    }
    const log = openSqliteLog({ file: join(folder, files.log), pipeline, time, readOnly: true });
    const registry = openSqliteRegistry({ file: join(folder, files.registry), readOnly: true });
    return {
      folder,
      pipeline,
      log: withEveryTopic(log, pipeline),
      serde: createSerde(registry, pipeline, plainReaders),
      registry,
      isShared: false,
      counters: (iteration) => readCounters(join(folder, files.journal), iteration),
      notes: (key) => {
        const note = readNote(join(folder, files.journal), key);
        return note === null ? [] : [note];
      },
      async close() {
        await log.close();
        registry.close();
      },
    };
  });
}

/** Topics that were added since the home was written last hold nothing; the next run makes them. */
function withEveryTopic(log: SqliteLog, pipeline: string): Log {
  const names = Object.values(topics).map((topic) => nameOnLog(pipeline, topic));
  const missing = names.filter((name) => !log.topics.includes(name));
  if (missing.length === 0 || missing.length === names.length) return log;
  return {
    ...log,
    ends: (topic) => (missing.includes(topic) ? Promise.resolve([]) : log.ends(topic)),
  };
}

/** Storage says what is wrong with a file; here it becomes something that the user can mend. */
async function explained<Result>(open: () => Result | Promise<Result>): Promise<Result> {
  try {
    return await open();
  } catch (error) {
    if (error instanceof StorageError && ['busy', 'version', 'missing'].includes(error.code)) {
      throw new UsageError(error.message, { cause: error });
    }
    throw error;
  }
}
