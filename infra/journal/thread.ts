/** The thread that writes a journal: compressing, sorting in and telling the disk is no work for the one that asks. */
import { parentPort, workerData } from 'node:worker_threads';
import { asError } from '../errors.ts';
import { openDatabase, StorageError } from '../sqlite.ts';
import { openWrites, type Batch } from './writes.ts';

/** What became of a batch. */
export type Written =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: StorageError['code'] | null; readonly message: string };

// Only `writer.ts` starts this.
const { file, version, cacheKiB } = workerData as ThreadData;

export interface ThreadData {
  readonly file: string;
  readonly version: number;
  readonly cacheKiB: number;
}

const database = openDatabase({ file, version, cacheKiB, create: () => undefined });
const write = openWrites(database);
parentPort?.on('message', (batch: Batch | 'close') => {
  if (batch === 'close') {
    database.close();
    parentPort?.close();
    return;
  }
  parentPort?.postMessage(attempt(batch));
});

function attempt(batch: Batch): Written {
  try {
    write(batch);
    return { ok: true };
  } catch (error) {
    const code = error instanceof StorageError ? error.code : null;
    return { ok: false, code, message: asError(error).message };
  }
}
