import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { createGroupCommit, openDatabase, type Database, type SqlRow } from '../sqlite.ts';
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
  const findDraw = database.prepare(
    `SELECT answers.id, draws.position, answers.body
     FROM draws JOIN answers ON answers.id = draws.answer WHERE draws.id = ?`,
  );
  return (ids) => {
    // The draws of one answer are asked for together, so it is unpacked once.
    const bodies = new Map<number, readonly JournalEntry[]>();
    return ids.map((id) => {
      const row = findDraw.get(Buffer.from(id, 'hex'));
      if (!row) return null;
      const [answer, position, body] = row.map((value, index) =>
        index < 2 ? Number(value) : value,
      );
      const entries = bodies.get(answer as number) ?? unpack(body);
      bodies.set(answer as number, entries);
      return entries[position as number] ?? null;
    });
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

const pack = (entries: readonly JournalEntry[]): Buffer =>
  zstdCompressSync(JSON.stringify(entries.map(({ choice, spend }) => ({ choice, spend }))));

const unpack = (body: SqlRow[number] | undefined): readonly JournalEntry[] =>
  // Only `pack` writes this column.
  body instanceof Uint8Array
    ? (JSON.parse(zstdDecompressSync(body).toString()) as readonly JournalEntry[])
    : [];
