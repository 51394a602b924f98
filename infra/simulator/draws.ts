import { createHash } from 'node:crypto';

/** Numbers in [0, 1) that depend on their names alone. */
export interface Draws {
  next(): number;
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
}

/** An endless stream of draws for one choice of one request. */
export function drawsOf(...names: readonly (string | number)[]): Draws {
  const base = createHash('sha256').update(JSON.stringify(names)).digest();
  let block = base;
  let position = 0;
  const next = () => {
    if (position === block.length) {
      block = createHash('sha256').update(block).digest();
      position = 0;
    }
    const value = block.readUInt32BE(position);
    position += 4;
    return value / 2 ** 32;
  };
  return {
    next,
    pick: (items) => items[Math.floor(next() * items.length)] ?? items[0],
  };
}
