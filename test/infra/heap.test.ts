import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { Heap } from '../../infra/heap.ts';

const numbers = fc.array(fc.integer({ min: 0, max: 50 }));

/** Taken out one after the other. */
function drain(heap: Heap<{ readonly value: number }>): number[] {
  const values: number[] = [];
  for (let item = heap.shift(); item; item = heap.shift()) values.push(item.value);
  return values;
}

test.prop([numbers, fc.array(fc.nat(50))])(
  'gives in order what is in it, whatever was put in and taken out of its midst',
  (values, taken) => {
    const heap = new Heap<{ readonly value: number }>((one, other) => one.value < other.value);
    const items = values.map((value) => ({ value }));
    for (const item of items) heap.push(item);
    const gone = new Set(taken.flatMap((index) => items[index] ?? []));
    for (const item of gone) expect(heap.delete(item)).toBe(true);
    for (const item of gone) expect(heap.delete(item)).toBe(false);
    const left = items.filter((item) => !gone.has(item)).map(({ value }) => value);
    expect(heap.size).toBe(left.length);
    expect(heap.first?.value).toBe(left.length > 0 ? Math.min(...left) : undefined);
    expect(drain(heap)).toEqual(left.toSorted((one, other) => one - other));
  },
);
