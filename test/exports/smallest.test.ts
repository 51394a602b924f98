import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { Smallest } from '../../infra/exports/smallest.ts';

test.prop([
  fc.uniqueArray(fc.record({ id: fc.string(), key: fc.integer({ min: 0, max: 20 }) }), {
    selector: ({ id }) => id,
  }),
  fc.nat(8),
  fc.boolean(),
])('keeps what sorting everything would put first', (items, limit, twice) => {
  const smallest = new Smallest<string>(limit);
  for (const { id, key } of twice ? [...items, ...items] : items) smallest.add(key, id, id);
  const sorted = items
    .toSorted((one, other) => one.key - other.key || (one.id < other.id ? -1 : 1))
    .map(({ id }) => id);
  expect(smallest.items()).toEqual(sorted.slice(0, limit));
});
