import { createReadStream } from 'node:fs';
import { access, constants, open, stat } from 'node:fs/promises';
import { RunError, UsageError } from '../errors.ts';
import { oneLine } from '../text.ts';
import type { Time } from '../time.ts';

/** Bytes under a name that errors can point to. */
export interface Source {
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** What standard input is called, in messages and records. */
export const standardInputName = 'standard input';

/**
 * Opens a file, or standard input for `-`. Nothing is read before the chunks are asked for, and whoever stops
 * asking closes the file.
 *
 * @throws UsageError if there is no such file, it cannot be read, is a folder, or is empty.
 */
export async function openSource(
  path: string,
  standardInput: AsyncIterable<Uint8Array> = process.stdin,
  follow: Follow | null = null,
): Promise<Source> {
  if (path === '-') return { name: standardInputName, chunks: standardInput };
  const name = oneLine(path, 300);
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new UsageError(`${name} is a folder; name a file in it.`);
    // A pipe has no size before it is read, so only a file can be known to be empty.
    if (found.isFile() && found.size === 0 && !follow) {
      throw new UsageError(`${name} is empty; it should hold one instruction a line.`);
    }
    await access(path, constants.R_OK);
  } catch (error) {
    throw error instanceof UsageError ? error : unreadable(name, error);
  }
  return { name, chunks: follow ? following(path, name, follow) : createReadStreamLazily(path) };
}

/** How to go on at the end of a file that still grows. */
export interface Follow {
  readonly time: Time;
  /** Aborted when nobody wants more. */
  readonly signal: AbortSignal;
  /** How often to look for more, milliseconds. */
  readonly pollMs: number;
}

const chunkBytes = 64 * 1024;

/** The bytes of a file as they are written, until the signal; a line that is not finished waits for its end. */
async function* following(
  path: string,
  name: string,
  { time, signal, pollMs }: Follow,
): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  try {
    for (let at = 0; !signal.aborted;) {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, at);
      if (bytesRead > 0) {
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
        continue;
      }
      if ((await file.stat()).size < at) {
        throw new RunError(
          `${name} was cut off while it was followed; start again to read it anew.`,
        );
      }
      await time.sleep(pollMs, signal).catch(() => undefined);
    }
  } finally {
    await file.close();
  }
}

async function* createReadStreamLazily(path: string): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path)) yield chunk as Uint8Array; // No encoding is set, so it is bytes.
}

function unreadable(name: string, cause: unknown): UsageError {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new UsageError(`${name}: no such file; check the path, or use - for standard input.`, {
      cause,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new UsageError(`${name} may not be read; check its permissions.`, { cause });
  }
  return new UsageError(`${name} cannot be read (${code}).`, { cause });
}
