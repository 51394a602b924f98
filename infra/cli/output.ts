import { once } from 'node:events';

/** Prints, and waits while whoever reads is slower than we are. */
export async function print(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}

/**
 * A value as one line of JSON: bytes as base64, and everything escaped that could move a terminal's cursor or turn
 * the direction of its text. It is still the same value to whoever parses it.
 */
export const jsonLine = (value: unknown): string => `${json(value)}\n`;

/** The same over several lines, for people. */
export const jsonText = (value: unknown): string => json(value, 2);

const json = (value: unknown, indent?: number): string =>
  JSON.stringify(value, bytesAsBase64, indent).replaceAll(
    /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

/** The replacer sees a Buffer only after its own `toJSON`, so it looks at the holder. */
function bytesAsBase64(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as Readonly<Record<string, unknown>>)[key];
  return raw instanceof Uint8Array ? base64(raw) : value;
}

export const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');

/** `1 pair`, `2 pairs`. */
export const counted = (count: number, name: string, several = `${name}s`): string =>
  `${count} ${count === 1 ? name : several}`;

/** Text under a heading, every line of it. */
export const indented = (text: string, indent = '    '): string =>
  text
    .split('\n')
    .map((line) => (line === '' ? '' : `${indent}${line}`))
    .join('\n');
