import { createReadStream } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { oneLine } from '../text.ts';

/** Bytes under a name that errors can point to. */
export interface Source {
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** The source cannot be read at all; the message is one sentence with the remedy. */
export class SourceError extends Error {
  override readonly name = 'SourceError';
}

/**
 * Opens a file, or standard input for `-`. Nothing is read before the chunks are asked for, and whoever stops
 * asking closes the file.
 *
 * @throws SourceError if there is no such file, it cannot be read, is a folder, or is empty.
 */
export async function openSource(
  path: string,
  standardInput: AsyncIterable<Uint8Array> = process.stdin,
): Promise<Source> {
  if (path === '-') return { name: 'standard input', chunks: standardInput };
  const name = oneLine(path, 300);
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw new SourceError(`${name} is a folder; name a file in it.`);
    // A pipe has no size before it is read, so only a file can be known to be empty.
    if (found.isFile() && found.size === 0) {
      throw new SourceError(`${name} is empty; it should hold one instruction a line.`);
    }
    await access(path, constants.R_OK);
  } catch (error) {
    throw error instanceof SourceError ? error : unreadable(name, error);
  }
  return { name, chunks: createReadStreamLazily(path) };
}

async function* createReadStreamLazily(path: string): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path)) yield chunk as Uint8Array; // No encoding is set, so it is bytes.
}

function unreadable(name: string, cause: unknown): SourceError {
  const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new SourceError(`${name}: no such file; check the path, or use - for standard input.`, {
      cause,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new SourceError(`${name} may not be read; check its permissions.`, { cause });
  }
  return new SourceError(`${name} cannot be read (${code}).`, { cause });
}
