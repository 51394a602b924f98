import { createReadStream } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { UsageError } from '../errors.ts';
import { oneLine } from '../text.ts';

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
): Promise<Source> {
  if (path === '-') return { name: standardInputName, chunks: standardInput };
  const name = oneLine(path, 300);
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new UsageError(`${name} is a folder; name a file in it.`);
    // A pipe has no size before it is read, so only a file can be known to be empty.
    if (found.isFile() && found.size === 0) {
      throw new UsageError(`${name} is empty; it should hold one instruction a line.`);
    }
    await access(path, constants.R_OK);
  } catch (error) {
    throw error instanceof UsageError ? error : unreadable(name, error);
  }
  return { name, chunks: createReadStreamLazily(path) };
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
