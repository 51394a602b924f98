import { expect, test } from 'vitest';
import { judge } from '../../processors/judge.ts';
import { pair } from '../../processors/pair.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { firstSteps, groupOf, step, stepsBeforeLookUp } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';

/** A wrong wiring does not compile; `tsc` fails where an error that is expected here does not occur. */
test('each processor fits its topics and no others', () => {
  const to = { verdicts: topics.verdicts };
  const steps = [
    step(judge, { from: topics.responses, to, ends: 'instruction' }),
    // @ts-expect-error -- the input is a topic of other records
    step(judge, { from: topics.instructions, to, ends: 'instruction' }),
    // @ts-expect-error -- an output is forgotten
    step(judge, { from: topics.responses, to: {}, ends: 'instruction' }),
    // @ts-expect-error -- an output goes to a topic of other records
    step(judge, { from: topics.responses, to: { verdicts: topics.pairs }, ends: 'instruction' }),
    step(judge, {
      from: topics.responses,
      // @ts-expect-error -- nothing comes out under this name
      to: { verdicts: topics.verdicts, votes: topics.verdicts },
      ends: 'instruction',
    }),
    // @ts-expect-error -- one cannot end half an instruction
    step(judge, { from: topics.responses, to, ends: 'half' }),
    step(pair, {
      from: topics.refinements,
      to: { pairs: topics.pairs, outcomes: topics.outcomes },
      // @ts-expect-error -- a table of other records
      tables: { negatives: topics.pairs, paired: topics.pairs },
      ends: 'tree',
    }),
    // @ts-expect-error -- a table is forgotten
    step(pair, {
      from: topics.refinements,
      to: { pairs: topics.pairs, outcomes: topics.outcomes },
      ends: 'tree',
    }),
    step(judge, {
      from: topics.responses,
      to,
      // @ts-expect-error -- the processor looks nothing up
      tables: { negatives: topics.negatives },
      ends: 'instruction',
    }),
  ];
  expect(steps).toHaveLength(9);
});

test('only the first step reads its topic anew for each iteration, in a group of its own', () => {
  expect([...firstSteps(dataflow)]).toEqual(['sample']);
  expect(groupOf('spar', 'sample', '2')).toBe('spar.sample.2');
  expect(groupOf('spar', 'judge', null)).toBe('spar.judge');
});

test.each([
  ['negatives', topics.negatives, ['expand', 'evaluate', 'pair']],
  ['nodes, which nothing looks up', topics.nodes, []],
])('whose unfinished work may still look up %s', (_name, topic, steps) => {
  expect(stepsBeforeLookUp(dataflow, topic).map(([name]) => name)).toEqual(steps);
});
