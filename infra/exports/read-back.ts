import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { lines } from '../input/pieces.ts';
import { isParquet, parquetRows } from './parquet.ts';
import type { Staged } from './staged.ts';

/**
 * Loaders drop a row that they do not like with a warning at most, so every row is read back as they would.
 */
export async function readBack(
  path: string,
  file: Staged,
): Promise<Found & { readonly path: string }> {
  const { rows, bytes, sha256 } = await (isParquet(path)
    ? readParquet(path, file)
    : readLines(path, file));
  if (rows !== file.rows) {
    throw new Error(`${path}: ${file.rows} rows were written, ${rows} can be read back`);
  }
  return { path, rows: file.check ? rows : null, bytes, sha256 };
}

interface Found<Rows = number | null> {
  readonly rows: Rows;
  readonly bytes: number;
  readonly sha256: string;
}

async function readLines(path: string, { place, check }: Staged): Promise<Found<number>> {
  const hash = createHash('sha256');
  let bytes = 0;
  let rows = 0;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(place)) {
      const part = chunk as Uint8Array; // No encoding is set, so it is bytes.
      hash.update(part);
      bytes += part.length;
      yield part;
    }
  }
  for await (const line of lines(watched(), Number.POSITIVE_INFINITY)) {
    if (!check || !line.bytes) continue;
    rows += 1;
    refuse(path, line.line, check(JSON.parse(Buffer.from(line.bytes).toString())));
  }
  return { rows, bytes, sha256: hash.digest('hex') };
}

async function readParquet(path: string, { place, check }: Staged): Promise<Found<number>> {
  let rows = 0;
  for await (const row of parquetRows(place)) {
    rows += 1;
    refuse(path, rows, check?.(row) ?? null);
  }
  const { size } = await stat(place);
  return { rows, bytes: size, sha256: (await sha256Of(place)) ?? '' };
}

function refuse(path: string, line: number, problem: string | null): void {
  if (problem !== null) throw new Error(`${path}:${line}: ${problem}`);
}

/** Null if there is no such file. */
export async function sha256Of(place: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(place)) hash.update(chunk as Uint8Array);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  return hash.digest('hex');
}

export const isMissing = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ENOENT';
