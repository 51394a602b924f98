import { evaluate } from '../processors/evaluate.ts';
import { expand } from '../processors/expand.ts';
import { fanOut } from '../processors/fan-out.ts';
import { judge } from '../processors/judge.ts';
import { pair } from '../processors/pair.ts';
import { sample } from '../processors/sample.ts';
import { firstResponses } from '../processors/sampling.ts';
import { step, type Dataflow, type Outside } from './topology.ts';
import { topics } from './topics.ts';

/** From instructions to preference pairs: a step per processor, in the order in which records travel. */
export const dataflow = {
  sample: step(sample, {
    from: topics.instructions,
    to: { responses: topics.responses },
    tables: { responses: topics.responses },
    asks: ['actor'],
    ends: 'instruction',
  }),
  judge: step(judge, {
    from: topics.responses,
    to: { verdicts: topics.verdicts },
    asks: ['judge'],
    // One that is lazy samples on while it finds too few failures.
    asksToo: (settings) => (firstResponses(settings) < settings.sample.responses ? ['actor'] : []),
    ends: 'instruction',
  }),
  'fan-out': step(fanOut, {
    from: topics.verdicts,
    to: { negatives: topics.negatives, expand: topics.expand, outcomes: topics.outcomes },
    ends: 'instruction',
  }),
  expand: step(expand, {
    from: topics.expand,
    to: { evaluate: topics.evaluate },
    asks: ['refiner'],
    ends: 'tree',
  }),
  evaluate: step(evaluate, {
    from: topics.evaluate,
    to: {
      nodes: topics.nodes,
      expand: topics.expand,
      refinements: topics.refinements,
      outcomes: topics.outcomes,
    },
    asks: ['judge'],
    ends: 'tree',
    bound: 'search.depth',
  }),
  pair: step(pair, {
    from: topics.refinements,
    to: { pairs: topics.pairs, outcomes: topics.outcomes },
    tables: { negatives: topics.negatives, paired: topics.pairs },
    ends: 'tree',
  }),
} satisfies Dataflow;

/** Who else writes and reads topics, so that a loose end is a decision and not an oversight. */
export const outside: Outside = {
  writes: [
    { topic: topics.instructions, by: 'sources' },
    { topic: topics.deadLetters, by: 'runtime' },
    { topic: topics.iterations, by: 'command line' },
    { topic: topics.removals, by: 'command line' },
  ],
  reads: [
    { topic: topics.nodes, by: 'exports, tree view' },
    { topic: topics.pairs, by: 'exports' },
    { topic: topics.outcomes, by: 'status' },
    { topic: topics.deadLetters, by: 'command line' },
    { topic: topics.iterations, by: 'runtime' },
    { topic: topics.removals, by: 'exports' },
  ],
};
