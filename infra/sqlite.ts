import { closeSync, fdatasync, fdatasyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { asError } from './errors.ts';
import type { Time } from './time.ts';

/** This file is the one that knows node:sqlite: how our databases are opened, locked, written in groups and fail. */
export interface Database {
  readonly file: string;
  exec(sql: string): void;
  /** Rows come as arrays, in the order of the columns. */
  prepare(sql: string): Statement;
  readonly inTransaction: boolean;
  close(): void;
}

export interface Statement {
  all(...values: readonly SqlValue[]): SqlRow[];
  get(...values: readonly SqlValue[]): SqlRow | null;
  /** Closed as soon as the loop over it ends, however it ends: an open one would keep the WAL from shrinking. */
  iterate(...values: readonly SqlValue[]): Iterable<SqlRow>;
  /** Returns how many rows changed. */
  run(...values: readonly SqlValue[]): number;
}

export type SqlValue = string | number | null | Uint8Array;
export type SqlRow = readonly SqlValue[];

/** What can be wrong with a file of the home; the message says what to do. */
export class StorageError extends Error {
  override readonly name = 'StorageError';
  readonly code: 'full' | 'corrupt' | 'busy' | 'version' | 'missing' | 'read-only' | 'other';

  constructor(code: StorageError['code'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface OpenOptions {
  readonly file: string;
  /** Opens what another process writes, and never writes itself. */
  readonly readOnly?: boolean;
  /** The version of this kind of file; another one is refused. */
  readonly version: number;
  /** Creates the tables of a new file; runs in one transaction. */
  readonly create: (database: Database) => void;
  /** How long a statement waits for another process's lock, milliseconds. */
  readonly busyTimeoutMs?: number;
  /** SQLite's page cache, kibibytes. */
  readonly cacheKiB?: number;
  /** Beyond this the file is as if the disk were full, bytes; no limit if absent. */
  readonly fileBytesMax?: number;
}

/** `SPAR`: marks a file as ours. */
const applicationId = 0x53504152;
/** Above this the WAL file is cut when it starts over, bytes. */
const walBytesMax = 64 * 1024 * 1024;
/**
 * Above this the WAL goes into the file itself, pages of 4 KiB. SQLite's own 1,000 writes a page of a busy index many
 * times over.
 */
const walPagesMax = 4000;

/**
 * Opens or creates a database whose commits survive a power cut, unless `createGroupCommit` says otherwise.
 *
 * @throws StorageError if the file is missing (read-only), not ours, from another version, corrupt or locked.
 */
export function openDatabase(options: OpenOptions): Database {
  const { file, readOnly = false, busyTimeoutMs = 5000, cacheKiB = 16_384 } = options;
  const database = connect(file, readOnly, busyTimeoutMs);
  try {
    database.exec(`PRAGMA cache_size = -${cacheKiB}`);
    const found = originOf(database);
    if (found.application === 0 && found.version === 0 && found.schema === 0) {
      if (readOnly) throw new StorageError('missing', `${file} is empty: nothing was run here yet`);
      // The vacuum mode can be chosen only before the first table, and the journal mode outside a transaction.
      database.exec(`PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;`);
      transaction(database, () => {
        // Another process may have made it while we waited for our turn.
        if (pragma(database, 'schema_version') !== 0) return;
        options.create(database);
        database.exec(`PRAGMA application_id = ${applicationId}`);
        database.exec(`PRAGMA user_version = ${options.version}`);
      });
    } else if (found.application !== applicationId) {
      throw new StorageError('version', `${file} is not a file of spar; choose another home`);
    } else if (found.version !== options.version) {
      throw new StorageError(
        'version',
        `${file} belongs to a home from another version of spar (format ${found.version}, this one reads ` +
          `${options.version}); use that version, or start a new home`,
      );
    }
    if (!readOnly) {
      database.exec(`PRAGMA synchronous = FULL; PRAGMA journal_size_limit = ${walBytesMax};`);
      database.exec(`PRAGMA wal_autocheckpoint = ${walPagesMax};`);
    }
    if (options.fileBytesMax !== undefined) {
      const pages = Math.floor(options.fileBytesMax / pragma(database, 'page_size'));
      database.exec(`PRAGMA max_page_count = ${pages}`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * The right to write a folder's files, held until it is released or the process ends, however it ends.
 *
 * @throws StorageError with the code `busy` if another process, or another part of this one, holds it.
 */
export function lockFolder(folder: string): () => void {
  const release = tryLock(`${folder}/writer.lock`);
  if (release) return release;
  throw new StorageError(
    'busy',
    `the home ${folder} is being written by another run; wait for it, stop it, or use another home`,
  );
}

/** Holds the file's lock until it is released or the process ends, however it ends; null if somebody else does. */
export function tryLock(file: string): (() => void) | null {
  const database = connect(file, false, 0);
  try {
    database.exec('BEGIN IMMEDIATE');
  } catch (error) {
    database.close();
    if (error instanceof StorageError && error.code === 'busy') return null;
    throw error;
  }
  return () => database.close();
}

/** All of it or nothing. */
export function transaction(database: Database, work: () => void): void {
  database.exec('BEGIN IMMEDIATE');
  try {
    work();
    database.exec('COMMIT');
  } catch (error) {
    // A full disk has already ended the transaction.
    if (database.inTransaction) database.exec('ROLLBACK');
    throw error;
  }
}

/** A number that changes when another connection has committed. */
export const dataVersion = (database: Database): number => pragma(database, 'data_version');

export interface GroupCommitOptions {
  readonly time: Time;
  /** How long a write waits for others to share its transaction, milliseconds. */
  readonly lingerMs: number;
  /** Bytes that may wait; reaching it commits at once. */
  readonly bytesMax: number;
  /** Writes that may wait; reaching it commits at once. */
  readonly writesMax: number;
}

export interface GroupCommit {
  /**
   * `work` runs within the next shared transaction; the promise resolves with its result once that is durable.
   * If anything in the transaction fails, all of it is undone and every promise in it is rejected.
   */
  write<Result>(work: () => Result, bytes: number): Promise<Result>;
  /** Commits what is waiting, durably; nothing can be written afterwards. */
  close(): void;
}

/**
 * One disk flush for many writes. It is always in one of these modes:
 *
 * - **idle** until a write comes;
 * - **lingering** for `lingerMs`, so that others come along; enough of them end that at once;
 * - **flushing**: the transaction is in the file, and the disk is told to keep it. That takes a thread of its own and
 *   not ours, since it may be milliseconds; what comes meanwhile lingers until it is over, so that a slow disk is told
 *   less often.
 *
 * Commits only reach the file, so a transaction can be read before it is durable, by this process and by others
 * (`flushForReader`). Everything in the file is in the order of the commits: what follows from a transaction that a power
 * cut undoes is undone as well, if it was written here.
 *
 * `undone` is called after a transaction was rolled back, so that whoever caches can read again; `done` after one
 * was committed.
 */
export function createGroupCommit(
  database: Database,
  { time, lingerMs, bytesMax, writesMax }: GroupCommitOptions,
  on: { readonly done?: () => void; readonly undone?: () => void } = {},
): GroupCommit {
  // Only from here on: what was done while the file was opened was flushed by SQLite itself.
  database.exec('PRAGMA synchronous = NORMAL');
  let waiting: Waiting[] = [];
  let bytesWaiting = 0;
  let lingering: AbortController | null = null;
  /** In the file, and not known to be on the disk. */
  let committed: Waiting[] = [];
  let flushing: readonly Waiting[] | null = null;
  /** What lingered for long enough goes as soon as the disk has answered. */
  let isDue = false;
  let closed = false;
  /** What was not known to be on the disk when it was closed. */
  let last: readonly Waiting[] = [];
  /** After a failed flush nobody knows what is on the disk. */
  let broken: Error | null = null;
  let wal: number | null = null;

  function commit(): void {
    lingering?.abort();
    lingering = null;
    isDue = false;
    if (waiting.length === 0) return;
    const batch = waiting;
    waiting = [];
    bytesWaiting = 0;
    try {
      transaction(database, () => {
        for (const write of batch) write.run();
      });
    } catch (error) {
      on.undone?.();
      for (const write of batch) write.reject(error);
      return;
    }
    committed.push(...batch);
    on.done?.();
  }

  function flush(): void {
    if (flushing || committed.length === 0 || closed) return;
    const batch = committed;
    committed = [];
    try {
      wal ??= openWal(database);
    } catch (error) {
      failed(error);
      settle(batch);
      return;
    }
    flushing = batch;
    fdatasync(wal, (error) => {
      flushing = null;
      if (error) failed(error);
      if (closed) {
        settle(last);
        closeWal();
        return;
      }
      settle(batch);
      if (isDue) commit();
      flush();
    });
  }

  function failed(error: unknown): void {
    broken ??= asError(storageError(error, database.file));
  }

  function settle(batch: readonly Waiting[]): void {
    for (const write of batch) {
      if (broken === null) write.resolve();
      else write.reject(broken);
    }
  }

  function closeWal(): void {
    if (wal !== null) closeSync(wal);
    wal = null;
  }

  function linger(): void {
    const controller = new AbortController();
    lingering = controller;
    time.sleep(lingerMs, controller.signal).then(
      () => {
        if (lingering !== controller) return;
        isDue = true;
        if (flushing) return;
        // Over by itself: to abort it as well would only make an error that nobody hears of.
        lingering = null;
        commit();
        flush();
      },
      // Aborted: someone else has committed.
      () => undefined,
    );
  }

  return {
    write<Result>(work: () => Result, bytes: number): Promise<Result> {
      if (closed) return Promise.reject(new Error(`${database.file} is closed`));
      if (broken !== null) return Promise.reject(broken);
      const { promise, resolve, reject } = Promise.withResolvers<Result>();
      let result: { readonly value: Result } | null = null;
      waiting.push({
        run: () => (result = { value: work() }),
        resolve: () => {
          if (result) resolve(result.value);
        },
        reject,
      });
      bytesWaiting += bytes;
      if (bytesWaiting >= bytesMax || waiting.length >= writesMax) {
        commit();
        flush();
      } else if (!lingering) {
        linger();
      }
      return promise;
    },
    close() {
      commit();
      closed = true;
      last = [...(flushing ?? []), ...committed];
      committed = [];
      try {
        if (last.length > 0) fdatasyncSync((wal ??= openWal(database)));
      } catch (error) {
        failed(error);
      }
      // An error of the disk is told once: to the flush that is under way, if there is one.
      if (flushing) return;
      settle(last);
      closeWal();
    },
  };
}

/** Next to the file for as long as anybody has it open; SQLite takes no locks on it that another handle could undo. */
const openWal = ({ file }: Database): number => openSync(`${file}-wal`, 'r+');

/**
 * Makes durable what a reader has just read of a file that another process writes: whoever takes note of it elsewhere
 * must not know more after a power cut than the file does.
 */
export function flushForReader({ file }: Database): void {
  let wal: number;
  try {
    wal = openSync(`${file}-wal`, 'r');
  } catch (error) {
    // Nobody writes it, and everything is in the file itself.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw storageError(error, file);
  }
  try {
    fdatasyncSync(wal);
  } catch (error) {
    throw storageError(error, file);
  } finally {
    closeSync(wal);
  }
}

interface Waiting {
  readonly run: () => void;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

function connect(file: string, readOnly: boolean, timeout: number): Database {
  const attempt = <Result>(work: () => Result): Result => {
    try {
      return work();
    } catch (error) {
      throw storageError(error, file === '' ? 'a temporary file (see SQLITE_TMPDIR)' : file);
    }
  };
  if (!readOnly) attempt(() => mkdirSync(dirname(file), { recursive: true }));
  const database = attempt(() => new DatabaseSync(file, { readOnly, timeout }));
  return {
    file,
    exec: (sql) => {
      attempt(() => {
        database.exec(sql);
      });
    },
    prepare: (sql) =>
      wrap(
        attempt(() => database.prepare(sql)),
        attempt,
      ),
    get inTransaction() {
      return database.isTransaction;
    },
    close: () => {
      if (database.isOpen) database.close();
    },
  };
}

type Attempt = <Result>(work: () => Result) => Result;

function wrap(statement: StatementSync, attempt: Attempt): Statement {
  statement.setReturnArrays(true);
  // The driver's types do not know about arrays; without big integers, its values are those of SqlValue.
  return {
    all: (...values) => attempt(() => statement.all(...values) as unknown as SqlRow[]),
    get: (...values) => attempt(() => (statement.get(...values) ?? null) as SqlRow | null),
    iterate: (...values) =>
      attempt(() => statement.iterate(...values) as unknown as Iterable<SqlRow>),
    run: (...values) => attempt(() => Number(statement.run(...values).changes)),
  };
}

/** Whose file it is, all at one moment: another process may be making it. */
function originOf(
  database: Database,
): Readonly<Record<'application' | 'version' | 'schema', number>> {
  database.exec('BEGIN');
  const [application, version, schema] = ['application_id', 'user_version', 'schema_version'].map(
    (name) => pragma(database, name),
  );
  database.exec('COMMIT');
  return { application: application ?? 0, version: version ?? 0, schema: schema ?? 0 };
}

function pragma(database: Database, name: string): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()?.[0] ?? 0);
}

/** By SQLite's primary result code. */
const meanings: Readonly<Record<number, readonly [StorageError['code'], string]>> = {
  5: ['busy', 'is locked by another process'],
  8: ['read-only', 'cannot be written: the file or its folder is read-only'],
  10: ['other', 'could not be read or written; the disk or the file system reports an error'],
  11: ['corrupt', 'is damaged; restore it from a copy, or start a new home'],
  13: [
    'full',
    'could not grow: the disk is full. What was acknowledged is safe; make room and run again',
  ],
  14: ['missing', 'cannot be opened: it does not exist or may not be read'],
  26: ['corrupt', 'is not a database; choose another home'],
};

/** What the system says where SQLite is not asked, in SQLite's codes. */
const resultOf: Readonly<Record<string, number>> = { EIO: 10, EROFS: 8, ENOSPC: 13, EDQUOT: 13 };

function storageError(error: unknown, file: string): unknown {
  if (!(error instanceof Error)) return error;
  const { errcode, code } = error as { readonly errcode?: unknown; readonly code?: unknown };
  const result = typeof errcode === 'number' ? errcode & 0xff : resultOf[String(code)];
  if (result === undefined) return error;
  const [kind, meaning] = meanings[result] ?? ['other', error.message];
  return new StorageError(kind, `${file} ${meaning}`, { cause: error });
}
