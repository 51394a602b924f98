import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { addSpend, noSpend, spendOf, spendWith } from '../../../processors/rules/spend.ts';

const spend = fc.record({
  calls: fc.nat(),
  generations: fc.nat(),
  prompt_tokens: fc.nat(),
  completion_tokens: fc.nat(),
  tokens_estimated: fc.boolean(),
  cost: fc.option(fc.nat(), { nil: null }),
});

test.each([
  [null, null, null],
  [null, 2, 2],
  [1, null, 1],
  [1, 2, 3],
  [0, null, 0],
])('a cost of %s and one of %s make %s', (one, other, sum) => {
  expect(addSpend({ ...noSpend, cost: one }, { ...noSpend, cost: other }).cost).toBe(sum);
});

test.prop([spend, spend, spend])('sums do not depend on order', (a, b, c) => {
  expect(spendWith(a, [b, c])).toEqual(spendWith(c, [a, b]));
});

test.prop([spend])('nothing adds nothing', (a) => {
  expect(addSpend(a, noSpend)).toEqual(a);
});

test('an estimate anywhere makes the sum one', () => {
  expect(addSpend({ ...noSpend, tokens_estimated: true }, noSpend).tokens_estimated).toBe(true);
});

test('the rest of a record stays behind', () => {
  expect(spendOf({ ...noSpend, id: 'a' } as never)).toEqual(noSpend);
});
