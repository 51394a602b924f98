import { openDatabase } from '../sqlite.ts';

/** The ids that a reading has met, kept where they do not grow its memory. */
export interface Seen {
  /** Remembers the id unless it is known; what is known of it already, else null. */
  add(id: string, line: number, digest: string): Met | null;
  close(): void;
}

/** Where an id was first met, and the digest of what it named there. */
export interface Met {
  readonly line: number;
  readonly digest: string;
}

/** A table in a temporary file that SQLite removes by itself, even if the process is killed. */
export function openSeen(): Seen {
  const database = openDatabase({
    file: temporaryFile,
    version: 1,
    create: (created) =>
      created.exec(
        'CREATE TABLE seen (id TEXT PRIMARY KEY, line INTEGER, digest TEXT) WITHOUT ROWID',
      ),
    cacheKiB: 4096,
  });
  // It is thrown away at the end, so nothing in it needs to be safe: one transaction, without a journal.
  database.exec('PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN');
  const insert = database.prepare('INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
  const find = database.prepare('SELECT line, digest FROM seen WHERE id = ?');
  return {
    add(id, line, digest) {
      if (insert.run(id, line, digest) > 0) return null;
      const [first, known] = find.get(id) ?? [];
      return { line: Number(first), digest: String(known) };
    },
    close: () => database.close(),
  };
}

/** What SQLite calls a database without a name. */
const temporaryFile = '';
