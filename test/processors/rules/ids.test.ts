import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { fullId, partsOf } from '../../../processors/rules/ids.ts';

test.each([
  [['1', 'a'], '1/a'],
  [['1', 'a/b', '0', 'r.0'], '1/a%2Fb/0/r.0'],
  [['1', '100%', '0'], '1/100%25/0'],
  [['%2F', '%25'], '%252F/%2525'],
])('%j is %s', (parts, id) => {
  expect(fullId(...parts)).toBe(id);
});

test.prop([fc.array(fc.string(), { minLength: 1 })])('the parts of an id come back', (parts) => {
  expect(partsOf(fullId(...parts))).toEqual(parts);
});
