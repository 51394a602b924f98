import type { InputItem, InputOptions } from '../../infra/input/read.ts';
import { defaultInputOptions, readInstructions } from '../../infra/input/read.ts';
import type { Met, Seen } from '../../infra/input/seen.ts';

/** Ids in a map: what `Seen` means, in as few lines as it takes. */
export function memorySeen(): Seen {
  const met = new Map<string, Met>();
  return {
    add: (id, line, digest) => {
      const known = met.get(id);
      if (!known) met.set(id, { line, digest });
      return known ?? null;
    },
    close: () => met.clear(),
  };
}

export type Bytes = string | Uint8Array;

/** Reads the parts, one chunk each, as the file `in.jsonl`. */
export const read = (
  parts: Bytes | readonly Bytes[],
  options: Partial<InputOptions> = {},
): Promise<InputItem[]> =>
  collected(
    readInstructions(
      { name: 'in.jsonl', chunks: chunked(parts) },
      { ...defaultInputOptions, seen: memorySeen(), ...options },
    ),
  );

export async function* chunked(parts: Bytes | readonly Bytes[]): AsyncGenerator<Uint8Array> {
  for (const part of Array.isArray(parts) ? parts : [parts]) {
    await Promise.resolve();
    yield Buffer.from(part as Uint8Array);
  }
}

export async function collected<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
}
