import { zstdDecompressSync } from 'node:zlib';
import { openDatabase, type Database, type SqlRow } from '../sqlite.ts';
import type { Time } from '../time.ts';
import { familyLength, type Journal, type JournalEntry } from './journal.ts';
import { createCounters } from './counters.ts';
import { createWriter } from './writer.ts';

export interface SqliteJournalOptions {
  readonly file: string;
  readonly time: Time;
  /** How long an answer waits for others to share its disk flush, milliseconds. Default 5. */
  readonly lingerMs?: number;
  /** Bytes that may wait for a flush before it happens at once. Default 8 MiB. */
  readonly queueBytes?: number;
  /** Answers that may wait for a flush before it happens at once. Default 1,024. */
  readonly queueWrites?: number;
  /** SQLite's page cache: ids are random, so every look-up is on another page. Default 16 MiB, in kibibytes. */
  readonly cacheKiB?: number;
}

/** Raised whenever the tables change. */
const formatVersion = 1;

/**
 * The journal in a file of its own.
 *
 * An answer is one compressed row (its draws are much alike), in order of arrival. Only `draws` is sorted by the
 * random ids: its rows are as small as can be, since each of them dirties a page.
 *
 * @throws StorageError if the file is damaged, locked, or from another version.
 */
export function openSqliteJournal(options: SqliteJournalOptions): Journal {
  const { file, time, lingerMs = 5, queueBytes = 8 * 1024 * 1024, queueWrites = 1024 } = options;
  const cacheKiB = options.cacheKiB ?? 16 * 1024;
  // From here it is only read; the thread writes it.
  const database = openDatabase({ file, version: formatVersion, create: createTables, cacheKiB });
  const getNote = database.prepare('SELECT json FROM notes WHERE key = ?');

  const totals = createCounters();
  for (const [iteration, name, value] of database.prepare('SELECT * FROM counters').all()) {
    totals.add(String(iteration), { [String(name)]: Number(value) });
  }
  /** Counted but not yet in the file. */
  let unsaved = createCounters();
  const writer = createWriter({
    ...{ file, version: formatVersion, cacheKiB, time },
    ...{ lingerMs, bytesMax: queueBytes, writesMax: queueWrites },
    takeCounters: () => {
      const batch = [...unsaved.all()];
      unsaved = createCounters();
      return batch.flatMap(([iteration, counters]) =>
        Object.entries(counters).map(([name, value]) => [iteration, name, value] as const),
      );
    },
    // What was counted stays counted; the next transaction takes it along.
    keepCounters: (counters) => {
      for (const [iteration, name, value] of counters) unsaved.add(iteration, { [name]: value });
    },
  });

  function count(iteration: string, counters: Readonly<Record<string, number>>): void {
    totals.add(iteration, counters);
    unsaved.add(iteration, counters);
  }

  return {
    find: finderIn(database),
    put(iteration, entries, counters) {
      count(iteration, counters);
      return writer.answer({ iteration, ids: entries.map(({ id }) => id), body: pack(entries) });
    },
    count,
    counters: (iteration) => totals.of(iteration),
    note: (key) => {
      const json = getNote.get(key)?.[0];
      return typeof json === 'string' ? json : null;
    },
    setNote: (key, json) => writer.note(key, json),
    async close() {
      try {
        await writer.close();
      } finally {
        database.close();
      }
    },
  };
}

/** A journal that another process writes, or has written. */
export interface JournalView extends Pick<Journal, 'find' | 'note' | 'counters'> {
  close(): void;
}

/** @throws StorageError if the file is missing, damaged, or from another version. */
export function viewSqliteJournal(file: string): JournalView {
  const database = openDatabase({
    file,
    version: formatVersion,
    readOnly: true,
    create: () => undefined,
    cacheKiB: 4096,
  });
  const counters = database.prepare('SELECT name, value FROM counters WHERE iteration = ?');
  const getNote = database.prepare('SELECT json FROM notes WHERE key = ?');
  return {
    find: finderIn(database),
    note: (key) => {
      const json = getNote.get(key)?.[0];
      return typeof json === 'string' ? json : null;
    },
    counters: (iteration) =>
      Object.fromEntries(
        counters.all(iteration).map(([name, value]) => [String(name), Number(value)]),
      ),
    close: () => database.close(),
  };
}

/**
 * What was counted for an iteration, read beside the process that writes it.
 *
 * @throws StorageError if the file is missing, damaged, or from another version.
 */
export function readCounters(file: string, iteration: string): Readonly<Record<string, number>> {
  const view = viewSqliteJournal(file);
  try {
    return view.counters(iteration);
  } finally {
    view.close();
  }
}

/**
 * A note, read beside the process that writes it; null if it was never set.
 *
 * @throws StorageError if the file is missing, damaged, or from another version.
 */
export function readNote(file: string, key: string): string | null {
  const view = viewSqliteJournal(file);
  try {
    return view.note(key);
  } finally {
    view.close();
  }
}

function finderIn(database: Database): Journal['find'] {
  const findDraws = database.prepare(
    'SELECT id, answer, position FROM draws WHERE id BETWEEN ? AND ?',
  );
  const findAnswer = database.prepare('SELECT body FROM answers WHERE id = ?');

  function collect(rows: readonly SqlRow[], found: Map<string, JournalEntry | null>): void {
    // Those of one answer lie together, so it is unpacked once.
    const bodies = new Map<number, readonly JournalEntry[]>();
    for (const [id, answer, position] of rows) {
      const entries = bodies.get(Number(answer)) ?? unpack(findAnswer.get(Number(answer))?.[0]);
      bodies.set(Number(answer), entries);
      found.set(Buffer.from(id as Uint8Array).toString('hex'), entries[Number(position)] ?? null);
    }
  }

  return (ids) => {
    const found = new Map<string, JournalEntry | null>();
    for (const [first, last] of families(ids)) {
      const rows = findDraws.all(Buffer.from(first, 'hex'), Buffer.from(last, 'hex'));
      // Hardly anything that is asked for is there already.
      if (rows.length > 0) collect(rows, found);
    }
    return ids.map((id) => found.get(id) ?? null);
  };
}

/** The first and the last of those that follow each other and belong together. */
function* families(ids: readonly string[]): Generator<readonly [first: string, last: string]> {
  let [first, last] = [ids[0], ids[0]];
  for (const id of ids) {
    if (first === undefined || last === undefined) return;
    if (id.slice(0, familyLength) !== first.slice(0, familyLength)) {
      yield [first, last];
      [first, last] = [id, id];
    } else if (id < first) {
      first = id;
    } else if (id > last) {
      last = id;
    }
  }
  if (first !== undefined && last !== undefined) yield [first, last];
}

function createTables(database: Database): void {
  database.exec(`
    CREATE TABLE answers (id INTEGER PRIMARY KEY, iteration TEXT NOT NULL, body BLOB NOT NULL);
    CREATE TABLE draws (
      id BLOB PRIMARY KEY, answer INTEGER NOT NULL, position INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE counters (
      iteration TEXT NOT NULL, name TEXT NOT NULL, value REAL NOT NULL,
      PRIMARY KEY (iteration, name)
    ) WITHOUT ROWID;
    CREATE TABLE notes (key TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;
  `);
}

const pack = (entries: readonly JournalEntry[]): string =>
  JSON.stringify(entries.map(({ choice, spend }) => ({ choice, spend })));

const unpack = (body: SqlRow[number] | undefined): readonly JournalEntry[] =>
  // Only `pack` makes what this column holds.
  body instanceof Uint8Array
    ? (JSON.parse(zstdDecompressSync(body).toString()) as readonly JournalEntry[])
    : [];
