/** The thread that writes a journal: compressing, sorting in and telling the disk is no work for the one that asks. */
import { parentPort, workerData } from 'node:worker_threads';
import { asError } from '../errors.ts';
import { openDatabase, StorageError } from '../sqlite.ts';
import { openWrites, type Batch } from './writes.ts';

/** What became of a batch; its buffer comes back, so that the next one needs none of its own. */
export interface Written {
  readonly failed: Failed | null;
  readonly buffer: ArrayBuffer;
}

export interface Failed {
  readonly code: StorageError['code'] | null;
  readonly message: string;
}

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
  const { buffer } = batch.answers;
  parentPort?.postMessage({ failed: attempt(batch), buffer } satisfies Written, [buffer]);
});

function attempt(batch: Batch): Failed | null {
  try {
    write(batch);
    return null;
  } catch (error) {
    const code = error instanceof StorageError ? error.code : null;
    return { code, message: asError(error).message };
  }
}
