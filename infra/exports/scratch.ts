import { openDatabase, type Database } from '../sqlite.ts';

/**
 * Tables for as long as they are open, in a file that the system forgets even if the process is killed: what must be
 * sorted or looked up, and would grow in memory. SQLite puts it where temporary files go (SQLITE_TMPDIR, TMPDIR).
 */
export function openScratch(tables: string): Database {
  // SQLite takes an empty name for such a file.
  const database = openDatabase({
    file: '',
    version: 1,
    create: (created) => {
      created.exec(tables);
    },
    cacheKiB: 8192,
  });
  // Thrown away at the end, so nothing in it needs to be safe: one transaction, without a journal.
  database.exec(
    'PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE; BEGIN',
  );
  return database;
}
