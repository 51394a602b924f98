import { randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { nameOnLog } from '../../topology/topology.ts';
import { asError } from '../errors.ts';
import {
  createGroupCommit,
  flushForReader,
  dataVersion,
  lockFolder,
  openDatabase,
  type Database,
  type SqlRow,
  type Statement,
} from '../sqlite.ts';
import type { Time } from '../time.ts';
import { createEmbeddedLog, type LogTopic, type PageLimits, type Store } from './embedded.ts';
import type { Log, LogRecord, NewRecord, Watcher } from './log.ts';

/** The embedded log: one file, one writing process, any number of reading ones beside it. */
export interface SqliteLog extends Log {
  /** A random name that the file got when it was made. */
  readonly identity: string;
  /** The names of the topics in the file, as on the log. */
  readonly topics: readonly string[];
  /**
   * Deletes what was appended before `before` (milliseconds since 1970) and what every group that ever joined the
   * topic has committed past: both must hold. Resolves with the number of records. It works in batches, so that
   * appends wait for one batch at most.
   */
  retain(topic: string, before: number): Promise<number>;
}

export interface SqliteLogOptions {
  readonly file: string;
  /** Prefixes the names of the topics: `<pipeline>.<name>`. Without it they are taken as they are. */
  readonly pipeline?: string;
  /** Those that the file lacks are created; a reader finds in the file what there is, and may leave them out. */
  readonly topics?: readonly LogTopic[];
  /** Fixed when the file is created (default 1); without it an existing file is opened with its own. */
  readonly partitions?: number;
  readonly time: Time;
  /** Opens it beside a running writer; whatever writes is refused. */
  readonly readOnly?: boolean;
  readonly limits?: SqliteLogLimits;
}

export interface SqliteLogLimits extends PageLimits {
  /** How long an append waits for others to share its disk flush, milliseconds. Default 5. */
  readonly lingerMs?: number;
  /** Bytes that may wait for a flush before it happens at once. Default 8 MiB. */
  readonly queueBytes?: number;
  /** Appends and commits that may wait for a flush before it happens at once. Default 1,024. */
  readonly queueWrites?: number;
  /** How often a reader looks for what the writing process has appended, milliseconds. Default 200. */
  readonly pollMs?: number;
  /** How large the file may grow, bytes: beyond it appends fail as on a full disk. Default: no limit. */
  readonly fileBytesMax?: number;
  /** Records that `retain` deletes in one transaction. Default 1,000. */
  readonly retainRecords?: number;
}

/** Raised whenever the tables change. */
const formatVersion = 1;
/** A row's id is partition · 2^40 + offset: records of a partition lie together, in order. */
const offsetsPerPartition = 2 ** 40;
const partitionsMax = 2 ** 12;

/** The first row of a partition and the first behind it; of all of them if it is null. */
const rowsOf = (partition: number | null): readonly [number, number] =>
  partition === null
    ? [0, partitionsMax * offsetsPerPartition]
    : [partition * offsetsPerPartition, (partition + 1) * offsetsPerPartition];

/**
 * @throws StorageError if another process writes the folder, or the file is missing, damaged, or from another
 *   version; Error if it has another number of partitions.
 */
export function openSqliteLog(options: SqliteLogOptions): SqliteLog {
  const { file, readOnly = false, partitions, limits = {} } = options;
  if (partitions !== undefined && !(Number.isInteger(partitions) && inRange(partitions))) {
    throw new Error(`a log has 1 to ${partitionsMax} partitions, not ${partitions}`);
  }
  const release = readOnly ? () => undefined : lockFolder(dirname(file));
  let database: Database | null = null;
  try {
    database = openDatabase({
      file,
      readOnly,
      version: formatVersion,
      ...(limits.fileBytesMax !== undefined && { fileBytesMax: limits.fileBytesMax }),
      create: (created) => {
        createTables(created, partitions ?? 1);
      },
    });
    return build(database, release, options, limits);
  } catch (error) {
    database?.close();
    release();
    throw error;
  }
}

function build(
  database: Database,
  release: () => void,
  { pipeline, topics = [], partitions: wanted, time, readOnly = false }: SqliteLogOptions,
  limits: SqliteLogLimits,
): SqliteLog {
  const meta = database.prepare('SELECT value FROM meta WHERE key = ?');
  const partitions = Number(meta.get('partitions')?.[0]);
  if (wanted !== undefined && wanted !== partitions) {
    throw new Error(
      `${database.file} has ${partitions} partitions and was opened for ${wanted}; the number never changes`,
    );
  }
  if (!readOnly) {
    for (const topic of topics) {
      const name = pipeline === undefined ? topic.name : nameOnLog(pipeline, topic);
      createTopic(database, { ...topic, name }, partitions);
    }
  }
  const tables = new Map(
    database
      .prepare('SELECT name, keyed FROM topics ORDER BY name')
      .all()
      .map(([name, keyed]) => [String(name), openTable(database, String(name), keyed === 1)]),
  );
  const tableOf = (topic: string): Table => {
    const table = tables.get(topic);
    if (!table) throw new Error(`${database.file} has no topic ${topic}`);
    return table;
  };

  const keysOf = (topic: string) => {
    const { keys } = tableOf(topic);
    if (!keys) throw new Error(`${topic} was not opened with keys`);
    return keys;
  };

  const getEnds = database.prepare(
    'SELECT earliest, latest, timestamp FROM ends WHERE topic = ? AND partition = ?',
  );
  const endsOf = (topic: string, partition: number): Ends => {
    const row = getEnds.get(topic, partition);
    if (!row) throw new Error(`${database.file} has no partition ${partition} of topic ${topic}`);
    return { earliest: Number(row[0]), latest: Number(row[1]), timestamp: Number(row[2]) };
  };
  const getCommitted = database.prepare(
    'SELECT position, metadata FROM offsets WHERE grp = ? AND topic = ? AND partition = ?',
  );

  let touched = new Set<string>();
  const commits = readOnly
    ? null
    : createGroupCommit(
        database,
        {
          time,
          lingerMs: limits.lingerMs ?? 5,
          bytesMax: limits.queueBytes ?? 8 * 1024 * 1024,
          writesMax: limits.queueWrites ?? 1024,
        },
        {
          done: () => {
            const topicsWritten = touched;
            touched = new Set();
            written(topicsWritten);
          },
          undone: () => (touched = new Set()),
        },
      );
  const writer = commits && openWriter(database, time, tableOf, endsOf);
  const refuse = () => Promise.reject(new Error(`${database.file} was opened for reading only`));

  const store: Store = {
    partitions,
    read(topic, partition, from, limit) {
      const { earliest, latest } = endsOf(topic, partition);
      const start = Math.max(from, earliest);
      const base = partition * offsetsPerPartition;
      const records: LogRecord[] = [];
      let bytes = 0;
      const rows = tableOf(topic).page.iterate(base + start, base + latest, limit.records);
      for (const row of rows) {
        const record = recordOf(row, topic);
        records.push(record);
        bytes += record.value.length;
        if (bytes >= limit.bytes) break;
      }
      if (readOnly && records.length > 0) flushForReader(database);
      const full = records.length >= limit.records || bytes >= limit.bytes;
      const last = records.at(-1);
      return { records, next: full && last ? last.offset + 1 : Math.max(from, latest) };
    },
    ends(topic, partition) {
      const { earliest, latest } = endsOf(topic, partition);
      return { earliest, latest };
    },
    committed(group, topic, partition) {
      const row = getCommitted.get(group, topic, partition);
      return {
        known: row !== null,
        position: Number(row?.[0] ?? 0),
        metadata: String(row?.[1] ?? ''),
      };
    },
    offsetAt(topic, partition, timestamp) {
      const base = partition * offsetsPerPartition;
      const { earliest, latest } = endsOf(topic, partition);
      let [low, high] = [earliest, latest];
      // Timestamps of a partition never go back, so halving finds the first one.
      while (low < high) {
        const middle = Math.floor((low + high) / 2);
        const at = Number(
          tableOf(topic).timestamp.get(base + middle, base + latest)?.[0] ?? Infinity,
        );
        if (at < timestamp) low = middle + 1;
        else high = middle;
      }
      return low;
    },
    latest(topic, key, partition) {
      const row = keysOf(topic).latest.get(key, ...rowsOf(partition));
      return row && recordOf(row, topic);
    },
    ofKey: (topic, key, partition, limit) =>
      keysOf(topic)
        .all.all(key, ...rowsOf(partition), limit)
        .map((row) => recordOf(row, topic)),
    async write(records, progress) {
      if (!commits || !writer) return refuse();
      // What is wrong with one write must not undo the others that share its transaction.
      for (const { topic, partition } of records) endsOf(topic, partition);
      const bytes = records.reduce((sum, { value }) => sum + value.length, 0);
      return commits.write(() => {
        const offsets = writer.append(records);
        if (progress) {
          const { group, topic, partition, position, metadata } = progress;
          writer.move.run(group, topic, partition, position, metadata);
        }
        for (const { topic } of records) touched.add(topic);
        return offsets;
      }, bytes);
    },
    close() {
      commits?.close();
      database.close();
      release();
    },
  };
  const { log, written } = createEmbeddedLog(store, time, limits);

  async function retain(topic: string, before: number): Promise<number> {
    if (!commits || !writer) return refuse();
    const batch = limits.retainRecords ?? 1000;
    let deleted = 0;
    for (let partition = 0; partition < partitions; partition++) {
      const passed = writer.passed.get(topic, partition)?.[0] ?? Infinity;
      const target = Math.min(Number(passed), store.offsetAt(topic, partition, before));
      for (let { earliest } = endsOf(topic, partition); earliest < target;) {
        const first = Math.min(earliest + batch, target);
        const base = partition * offsetsPerPartition;
        deleted += await commits.write(() => {
          writer.setEarliest.run(first, topic, partition);
          return tableOf(topic).forget.run(base, base + first);
        }, 0);
        earliest = first;
      }
    }
    if (deleted > 0) database.exec('PRAGMA incremental_vacuum');
    return deleted;
  }

  return {
    ...log,
    identity: String(meta.get('identity')?.[0]),
    topics: [...tables.keys()],
    retain,
    ...(readOnly && {
      subscribe: refuse,
      ...pollingWatch(database, store, time, limits.pollMs ?? 200, log),
    }),
  };
}

interface Ends {
  readonly earliest: number;
  readonly latest: number;
  readonly timestamp: number;
}

interface Table {
  readonly page: Statement;
  readonly timestamp: Statement;
  readonly insert: Statement;
  readonly forget: Statement;
  readonly keys: { readonly latest: Statement; readonly all: Statement } | null;
}

const tableName = (topic: string): string => `"topic:${topic}"`;

function openTable(database: Database, name: string, keyed: boolean): Table {
  const table = tableName(name);
  const columns = 'rowid, key, headers, timestamp, value';
  const range = 'rowid >= ? AND rowid < ?';
  const withKey = `SELECT ${columns} FROM ${table} WHERE key = ? AND ${range}`;
  return {
    page: database.prepare(`SELECT ${columns} FROM ${table} WHERE ${range} ORDER BY rowid LIMIT ?`),
    timestamp: database.prepare(
      `SELECT timestamp FROM ${table} WHERE ${range} ORDER BY rowid LIMIT 1`,
    ),
    insert: database.prepare(`INSERT INTO ${table} (${columns}) VALUES (?, ?, ?, ?, ?)`),
    forget: database.prepare(`DELETE FROM ${table} WHERE ${range}`),
    keys: keyed
      ? {
          latest: database.prepare(`${withKey} ORDER BY timestamp DESC, rowid DESC LIMIT 1`),
          all: database.prepare(`${withKey} ORDER BY timestamp, rowid LIMIT ?`),
        }
      : null,
  };
}

function openWriter(
  database: Database,
  time: Time,
  tableOf: (topic: string) => Table,
  endsOf: (topic: string, partition: number) => Ends,
) {
  const setLatest = database.prepare(
    'UPDATE ends SET latest = ?, timestamp = ? WHERE topic = ? AND partition = ?',
  );
  return {
    append(records: readonly NewRecord[]): number[] {
      const open = new Map<string, { topic: string; partition: number; ends: Ends }>();
      const offsets = records.map(({ topic, partition, key, headers, value }) => {
        const place = `${topic}/${partition}`;
        const { ends } = open.get(place) ?? { ends: endsOf(topic, partition) };
        const offset = ends.latest;
        // A wall clock may be set back; the order of timestamps is what offsetAt searches by.
        const timestamp = Math.max(ends.timestamp, time.wall());
        const rowid = partition * offsetsPerPartition + offset;
        tableOf(topic).insert.run(rowid, key, JSON.stringify(headers), timestamp, value);
        open.set(place, { topic, partition, ends: { ...ends, latest: offset + 1, timestamp } });
        return offset;
      });
      for (const { topic, partition, ends } of open.values()) {
        setLatest.run(ends.latest, ends.timestamp, topic, partition);
      }
      return offsets;
    },
    move: database.prepare(
      `INSERT INTO offsets (grp, topic, partition, position, metadata) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET position = excluded.position, metadata = excluded.metadata`,
    ),
    passed: database.prepare('SELECT min(position) FROM offsets WHERE topic = ? AND partition = ?'),
    setEarliest: database.prepare('UPDATE ends SET earliest = ? WHERE topic = ? AND partition = ?'),
  };
}

function createTables(database: Database, partitions: number): void {
  database.exec(`
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE topics (name TEXT PRIMARY KEY, keyed INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE ends (
      topic TEXT NOT NULL, partition INTEGER NOT NULL,
      earliest INTEGER NOT NULL, latest INTEGER NOT NULL, timestamp INTEGER NOT NULL,
      PRIMARY KEY (topic, partition)
    ) WITHOUT ROWID;
    CREATE TABLE offsets (
      grp TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL,
      position INTEGER NOT NULL, metadata TEXT NOT NULL,
      PRIMARY KEY (grp, topic, partition)
    ) WITHOUT ROWID;
  `);
  const remember = database.prepare('INSERT INTO meta VALUES (?, ?)');
  remember.run('identity', randomUUID());
  remember.run('partitions', String(partitions));
}

/** Kafka's rule for names; it also keeps quotes out of the SQL. */
const topicPattern = /^[A-Za-z0-9._-]{1,249}$/;

function createTopic(database: Database, { name, keyed }: LogTopic, partitions: number): void {
  if (!topicPattern.test(name)) throw new Error(`not a name for a topic: ${JSON.stringify(name)}`);
  const table = tableName(name);
  // A plain rowid table: records larger than a page would make one WITHOUT ROWID slow.
  database.exec(`
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS ${table} (
      key TEXT, headers TEXT NOT NULL, timestamp INTEGER NOT NULL, value BLOB NOT NULL
    );
    INSERT INTO topics VALUES ('${name}', ${keyed ? 1 : 0})
      ON CONFLICT DO UPDATE SET keyed = max(keyed, excluded.keyed);
    COMMIT;
  `);
  if (keyed) {
    database.exec(
      `CREATE INDEX IF NOT EXISTS "key:${name}" ON ${table} (key) WHERE key IS NOT NULL`,
    );
  }
  const end = database.prepare('INSERT OR IGNORE INTO ends VALUES (?, ?, 0, 0, 0)');
  for (let partition = 0; partition < partitions; partition++) end.run(name, partition);
}

function recordOf([rowid, key, headers, timestamp, value]: SqlRow, topic: string): LogRecord {
  const place = Number(rowid);
  const partition = Math.floor(place / offsetsPerPartition);
  return {
    topic,
    partition,
    offset: place - partition * offsetsPerPartition,
    key: key === null ? null : String(key),
    // Only `append` writes this column.
    headers: JSON.parse(String(headers)) as Readonly<Record<string, string>>,
    timestamp: Number(timestamp),
    value: value instanceof Uint8Array ? value : new Uint8Array(),
  };
}

/** Another process appends, so a reader looks again and again, as long as somebody watches. */
function pollingWatch(
  database: Database,
  store: Store,
  time: Time,
  pollMs: number,
  log: Log,
): Pick<Log, 'watch' | 'close'> {
  const watching = new Set<{
    readonly topic: string;
    readonly watcher: Watcher;
    seen: number;
  }>();
  const sizeOf = (topic: string): number => {
    let size = 0;
    for (let partition = 0; partition < store.partitions; partition++) {
      size += store.ends(topic, partition).latest;
    }
    return size;
  };
  let polling: AbortController | null = null;

  async function poll(controller: AbortController): Promise<void> {
    let version = dataVersion(database);
    while (watching.size > 0) {
      await time.sleep(pollMs, controller.signal);
      const found = dataVersion(database);
      if (found === version) continue;
      version = found;
      for (const one of [...watching]) {
        const size = sizeOf(one.topic);
        if (size === one.seen) continue;
        one.seen = size;
        one.watcher.appended();
      }
    }
  }

  function stop(): void {
    polling?.abort();
    polling = null;
  }

  return {
    watch(topic, watcher) {
      const one = { topic, watcher, seen: sizeOf(topic) };
      watching.add(one);
      if (!polling) {
        const controller = new AbortController();
        polling = controller;
        poll(controller).catch((error: unknown) => {
          // When nobody watches any more it ends by being aborted.
          if (controller.signal.aborted) return;
          stop();
          const failed = [...watching];
          watching.clear();
          for (const { watcher: theirs } of failed) {
            theirs.failed(asError(error));
          }
        });
      }
      return () => {
        watching.delete(one);
        if (watching.size === 0) stop();
      };
    },
    async close() {
      watching.clear();
      stop();
      await log.close();
    },
  };
}

const inRange = (partitions: number): boolean => partitions >= 1 && partitions <= partitionsMax;
