import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import {
  createGroupCommit,
  openDatabase,
  type Database,
  type SqlRow,
  type Statement,
} from '../sqlite.ts';
import type { Time } from '../time.ts';
import type { Journal, JournalEntry } from './journal.ts';
import { createCounters } from './counters.ts';

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
  const database = openDatabase({
    file,
    version: formatVersion,
    create: createTables,
    cacheKiB: options.cacheKiB ?? 16 * 1024,
  });
  const find = finderIn(database);
  const addAnswer = database.prepare(
    'INSERT INTO answers (iteration, body) VALUES (?, ?) RETURNING id',
  );
  const addDraw = database.prepare('INSERT OR IGNORE INTO draws VALUES (?, ?, ?)');
  const addCounter = database.prepare(
    `INSERT INTO counters VALUES (?, ?, ?)
     ON CONFLICT DO UPDATE SET value = value + excluded.value`,
  );
  const setNote = database.prepare(
    'INSERT INTO notes VALUES (?, ?) ON CONFLICT DO UPDATE SET json = excluded.json',
  );
  const getNote = database.prepare('SELECT json FROM notes WHERE key = ?');

  const totals = createCounters();
  for (const [iteration, name, value] of database.prepare('SELECT * FROM counters').all()) {
    totals.add(String(iteration), { [String(name)]: Number(value) });
  }
  /** Counted but not yet in the file. */
  let unsaved = createCounters();
  let saving = createCounters();
  const commits = createGroupCommit(
    database,
    { time, lingerMs, bytesMax: queueBytes, writesMax: queueWrites },
    {
      done: () => (saving = createCounters()),
      // What was counted stays counted; the next transaction takes it along.
      undone: () => {
        for (const [iteration, counters] of saving.all()) unsaved.add(iteration, counters);
        saving = createCounters();
      },
    },
  );

  function count(iteration: string, counters: Readonly<Record<string, number>>): void {
    totals.add(iteration, counters);
    unsaved.add(iteration, counters);
  }

  function saveCounters(): void {
    const batch = unsaved;
    unsaved = createCounters();
    for (const [iteration, counters] of batch.all()) {
      saving.add(iteration, counters);
      for (const [name, value] of Object.entries(counters)) addCounter.run(iteration, name, value);
    }
  }

  return {
    find,

    put(iteration, entries, counters) {
      const body = pack(entries);
      count(iteration, counters);
      return commits.write(() => {
        saveCounters();
        const answer = addAnswer.get(iteration, body)?.[0] ?? null;
        for (const [position, { id }] of entries.entries()) {
          addDraw.run(Buffer.from(id, 'hex'), answer, position);
        }
      }, body.length);
    },

    count,
    counters: (iteration) => totals.of(iteration),
    note: (key) => {
      const json = getNote.get(key)?.[0];
      return typeof json === 'string' ? json : null;
    },
    setNote: (key, json) =>
      commits.write(() => {
        saveCounters();
        setNote.run(key, json);
      }, json.length),

    async close() {
      const saved = commits.write(saveCounters, 0);
      commits.close();
      try {
        await saved;
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

/** Draws that one statement looks up: those of a request are asked for together, and hardly any is there. */
const lookUpMax = 16;

function finderIn(database: Database): Journal['find'] {
  const statements = new Map<number, Statement>();
  const findDraws = (size: number): Statement => {
    const known = statements.get(size);
    if (known) return known;
    const places = Array.from({ length: size }, () => '?').join(', ');
    const made = database.prepare(`SELECT id, answer, position FROM draws WHERE id IN (${places})`);
    statements.set(size, made);
    return made;
  };
  const findAnswer = database.prepare('SELECT body FROM answers WHERE id = ?');
  return (ids) => {
    const found = new Map<string, JournalEntry | null>();
    for (let start = 0; start < ids.length; start += lookUpMax) {
      const some = ids.slice(start, start + lookUpMax).map((id) => Buffer.from(id, 'hex'));
      // The draws of one answer are asked for together, so it is unpacked once.
      const bodies = new Map<number, readonly JournalEntry[]>();
      for (const [id, answer, position] of findDraws(some.length).all(...some)) {
        const entries = bodies.get(Number(answer)) ?? unpack(findAnswer.get(Number(answer))?.[0]);
        bodies.set(Number(answer), entries);
        found.set(Buffer.from(id as Uint8Array).toString('hex'), entries[Number(position)] ?? null);
      }
    }
    return ids.map((id) => found.get(id) ?? null);
  };
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

function pack(entries: readonly JournalEntry[]): Buffer {
  const json = Buffer.from(
    JSON.stringify(entries.map(({ choice, spend }) => ({ choice, spend }))),
  );
  // Told how much comes, it makes no larger tables and no larger buffer than that needs.
  return zstdCompressSync(json, {
    pledgedSrcSize: json.length,
    chunkSize: Math.max(constants.Z_MIN_CHUNK, json.length),
  });
}

const unpack = (body: SqlRow[number] | undefined): readonly JournalEntry[] =>
  // Only `pack` writes this column.
  body instanceof Uint8Array
    ? (JSON.parse(zstdDecompressSync(body).toString()) as readonly JournalEntry[])
    : [];
