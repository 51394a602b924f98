import { join } from 'node:path';
import { Unavailable } from '../../errors.ts';
import { openDatabase, transaction, type Database, type Statement } from '../../sqlite.ts';
import type { Time } from '../../time.ts';
import { failureOf } from './failures.ts';
import type { Reader } from './reader.ts';

/**
 * The offsets of every key of one partition, oldest first, in a local file: Kafka itself finds nothing by key. It is
 * read on from the topic whenever somebody asks, by a reader of its own that no window pauses, so that an answer is
 * as good as the topic at the moment of the question.
 */
export interface KeyTable {
  /**
   * The offsets of a key's records, once everything is decided that was in the partition when this was called.
   *
   * @throws Unavailable if a transaction stays open for longer than the broker should let it
   */
  find(key: string, most: number): Promise<readonly number[]>;
  /** The offset of its last record; null if there is none. */
  last(key: string): Promise<number | null>;
  close(): void;
}

export interface KeyTableOptions {
  readonly reader: Reader;
  readonly topic: string;
  readonly partition: number;
  /** Where its file is, shared by all processes of a home; null keeps it for as long as the process lives. */
  readonly folder: string | null;
  /** Names the log that the file was built from. */
  readonly clusterId: string;
  readonly time: Time;
  readonly fetchBytes: number;
  /** How long an open transaction may hold back what was written after it. */
  readonly decidedMs: number;
}

/** Raised whenever the tables change. */
const formatVersion = 1;
const pollMs = 5;

export function openKeyTable(options: KeyTableOptions): KeyTable {
  const { reader, topic, partition, time, fetchBytes } = options;
  const database = openFile(options);
  const statements = prepare(database);
  let round: Promise<void> | null = null;
  let nextRound: Promise<void> | null = null;

  /** A round that is under way may have looked at the end before we asked: then the next one is ours. */
  function fresh(): Promise<void> {
    if (!round) return (round = startRound());
    return (nextRound ??= round
      .catch(() => undefined)
      .then(() => {
        nextRound = null;
        return (round = startRound());
      }));
  }

  async function startRound(): Promise<void> {
    try {
      await readOn();
    } finally {
      round = null;
    }
  }

  async function readOn(): Promise<void> {
    const deadline = time.monotonic() + options.decidedMs;
    let target: number | null = null;
    for (;;) {
      const at = position();
      const fetched = await reader.fetch(topic, partition, at, fetchBytes).catch(afterRange);
      if (!fetched) continue;
      const { records, next, end } = fetched;
      // What is behind an open transaction is neither there nor not there yet, so the end is everything's, not that of
      // what is decided. It never is a wait for records: markers count.
      target ??= end;
      if (next > at) {
        transaction(database, () => {
          // Another process of the same home may have read the same meanwhile.
          if (position() !== at) return;
          for (const { key, offset } of records) if (key !== null) statements.add.run(key, offset);
          statements.move.run(next);
        });
      }
      if (Math.max(next, at) >= target) return;
      if (next > at) continue;
      if (time.monotonic() >= deadline) {
        throw new Unavailable(
          `${topic}/${partition} has a transaction that is open for more than ${options.decidedMs} ms`,
        );
      }
      await time.sleep(pollMs);
    }
  }

  /** Retention has deleted what comes next; or the topic was made anew, and the file tells of another one. */
  async function afterRange(error: unknown): Promise<null> {
    if (failureOf(error) !== 'out-of-range') throw error;
    const found = (await reader.ends(topic)).find((ends) => ends.partition === partition);
    const earliest = found?.earliest ?? 0;
    transaction(database, () => {
      if (position() > (found?.latest ?? 0)) database.exec('DELETE FROM keys');
      statements.move.run(earliest);
    });
    return null;
  }

  const position = (): number => Number(statements.position.get()?.[0] ?? 0);

  return {
    async find(key, most) {
      await fresh();
      return statements.all.all(key, most).map(([offset]) => Number(offset));
    },
    async last(key) {
      await fresh();
      const row = statements.last.get(key);
      return row ? Number(row[0]) : null;
    },
    close: () => database.close(),
  };
}

function prepare(
  database: Database,
): Readonly<Record<'position' | 'move' | 'add' | 'all' | 'last', Statement>> {
  return {
    position: database.prepare('SELECT next FROM position'),
    move: database.prepare('UPDATE position SET next = ?'),
    add: database.prepare('INSERT OR IGNORE INTO keys VALUES (?, ?)'),
    all: database.prepare('SELECT "offset" FROM keys WHERE key = ? ORDER BY "offset" LIMIT ?'),
    last: database.prepare('SELECT max("offset") FROM keys WHERE key = ? HAVING count(*) > 0'),
  };
}

function openFile({ folder, topic, partition, clusterId }: KeyTableOptions): Database {
  const database = openDatabase({
    file: folder === null ? '' : join(folder, `${topic}-${partition}.sqlite`),
    version: formatVersion,
    cacheKiB: 4096,
    create: (created) => {
      created.exec(`
        CREATE TABLE keys (key TEXT NOT NULL, "offset" INTEGER NOT NULL, PRIMARY KEY (key, "offset")) WITHOUT ROWID;
        CREATE TABLE position (next INTEGER NOT NULL);
        CREATE TABLE origin (cluster TEXT NOT NULL);
        INSERT INTO position VALUES (0);
      `);
    },
  });
  // What a power cut takes away is read again from the topic, so nothing waits for the disk.
  database.exec('PRAGMA synchronous = NORMAL');
  transaction(database, () => {
    const origin = database.prepare('SELECT cluster FROM origin').get()?.[0];
    if (origin === clusterId) return;
    // The rows of another cluster's topic of the same name are worth nothing.
    database.exec('DELETE FROM keys; DELETE FROM origin; UPDATE position SET next = 0');
    database.prepare('INSERT INTO origin VALUES (?)').run(clusterId);
  });
  return database;
}
