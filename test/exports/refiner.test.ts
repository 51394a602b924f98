import { expect, test } from 'vitest';
import { refinerRows } from '../../infra/exports/refiner.ts';
import { chanceOf } from '../../infra/runtime/chance.ts';
import { assemble, nodeRows, refineRow, verdictRows } from '../../processors/rules/training.ts';
import { decode, logOf, prompts, runOf } from './support.ts';

test('what is kept while scanning is what the rules would choose from everything', async () => {
  const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
  const run = runOf(names);
  const caps = { refine: 6, above: 5, below: 4, fail: 3, pass: 2 };
  const order = chanceOf(7, 'export', '');
  const judged = run.verdicts.map((verdicts) => verdictRows(verdicts, prompts));
  const trees = names.map((name) =>
    nodeRows(
      run.nodes.filter((node) => node.instruction_id === name),
      chanceOf(7, '1', `1/${name}/0`),
      prompts,
    ),
  );
  const expected = assemble(
    {
      refine: run.refinements.map((refinement) => refineRow(refinement, prompts)),
      above: trees.flatMap(({ above }) => above ?? []),
      below: trees.flatMap(({ below }) => below ?? []),
      fail: judged.flatMap(({ fail }) => fail),
      pass: judged.flatMap(({ pass }) => pass),
    },
    caps,
    order,
  );

  const topics = { log: await logOf(run), decode, pipeline: 'spar' };
  const iterations = new Map([['1', { seed: 7, prompts }]]);
  const rows = await refinerRows(topics, iterations, caps, order, {
    undecodable: () => expect.unreachable(),
    stays: () => true,
    good: () => true,
    judged: () => undefined,
  });
  expect(rows.map(({ id, messages }) => ({ id, messages }))).toEqual(expected);
});
