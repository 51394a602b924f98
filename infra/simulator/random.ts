import { hash } from 'node:crypto';

/** Numbers in [0, 1), one after the other. */
export type Random = () => number;

/** A stream of numbers that depends on nothing but `parts`. */
export function randomOf(...parts: readonly (string | number)[]): Random {
  const digest = hash('sha256', JSON.stringify(parts), 'buffer');
  let a = digest.readUInt32LE(0);
  let b = digest.readUInt32LE(4);
  let c = digest.readUInt32LE(8);
  let counter = 1;
  // sfc32 (PractRand's small fast counter): hashing anew for each number would cost more than the texts.
  return () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
}

/** 120 bits, as 20 characters: enough to name every request of a ledger. */
export const nameOf = (...parts: readonly unknown[]): string =>
  hash('sha256', JSON.stringify(parts), 'base64url').slice(0, 20);

/**
 * One of `items`, all equally likely.
 *
 * @throws RangeError if there are none
 */
export function pick<Item>(items: readonly Item[], random: Random): Item {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new RangeError('nothing to pick from');
  return item;
}

/** `count` different ones of `items`, in random order. */
export function pickSome<Item>(
  items: readonly Item[],
  count: number,
  random: Random,
): readonly Item[] {
  const left = [...items];
  return Array.from({ length: Math.min(count, items.length) }, () =>
    left.splice(Math.floor(random() * left.length), 1),
  ).flat();
}
