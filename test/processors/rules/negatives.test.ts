import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { chanceOf } from '../../../infra/runtime/chance.ts';
import { chooseNegatives } from '../../../processors/rules/negatives.ts';
import type { Judged } from '../../../schemas/records.ts';

const judged = (verdicts: readonly Judged['verdict'][]): readonly Judged[] =>
  verdicts.map((verdict, index) => ({
    ...{ index, verdict, critique: null, votes: [] },
    ...{ judged_by: 'model', checks: [] },
  }));

const indices = (chosen: readonly Judged[]) => chosen.map(({ index }) => index);

const draws: Readonly<Record<string, number>> = {
  'negative/0': 0.9,
  'negative/1': 0.2,
  'negative/2': 0.1,
  'negative/3': 0.5,
};
const chance = (purpose: string) => draws[purpose] ?? 0;

test.each([
  ['the lowest draw is taken', ['fail', 'fail', 'fail', 'fail'], 1, [2]],
  ['several in the order of their draws', ['fail', 'fail', 'fail', 'fail'], 3, [2, 1, 3]],
  ['only of those that fail', ['fail', 'tie', 'pass', 'fail'], 4, [3, 0]],
  ['none without a failure', ['pass', 'tie', 'pass', 'pass'], 1, []],
] as const)('%s', (_name, verdicts, limit, chosen) => {
  expect(indices(chooseNegatives(judged(verdicts), limit, chance))).toEqual(chosen);
});

test.prop([fc.integer(), fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 })])(
  'the choice does not depend on the order in which responses come',
  (seed, order) => {
    const all = judged(['fail', 'fail', 'pass', 'fail', 'fail']);
    const shuffled = order.flatMap((index) => all[index] ?? []);
    const seeded = chanceOf(seed, '1', 'a');
    expect(indices(chooseNegatives(shuffled, 3, seeded))).toEqual(
      indices(chooseNegatives(all, 3, seeded)),
    );
  },
);

test('the choice is uniform over seeds', () => {
  const all = judged(['fail', 'pass', 'fail', 'fail']);
  const taken = Array.from({ length: 3000 }, (_, seed) =>
    chooseNegatives(all, 1, chanceOf(seed, '1', 'a')).map(({ index }) => index),
  ).flat();
  for (const index of [0, 2, 3]) {
    // One third of 3,000 with five standard deviations on either side.
    expect(Math.abs(taken.filter((one) => one === index).length - 1000)).toBeLessThan(130);
  }
});
