import type {
  DeadLetter,
  Evaluation,
  Expansion,
  Instruction,
  Iteration,
  Negative,
  Outcome,
  PreferencePair,
  Refinement,
  Removal,
  Responses,
  SearchNode,
  Verdicts,
} from '../schemas/records.ts';
import { topic } from './topology.ts';

const eightMiB = 8 * 1024 * 1024;
/** A dead letter holds the record that died, and says why. */
const nineMiB = 9 * 1024 * 1024;

/** Every topic of a pipeline. All have the same number of partitions, and it never changes. */
export const topics = {
  instructions: topic<Instruction>('instructions', {
    schema: 'instruction',
    kept: 'forever',
    keyed: true,
    maxBytes: eightMiB,
    foreign: true,
    about: 'what sources put in; replayed for each iteration',
  }),
  responses: topic<Responses>('responses', {
    schema: 'responses',
    kept: 'forever',
    keyed: true,
    maxBytes: eightMiB,
    about: 'instructions with their sampled responses',
  }),
  verdicts: topic<Verdicts>('verdicts', {
    schema: 'verdicts',
    kept: 'forever',
    keyed: true,
    maxBytes: eightMiB,
    about: 'the same with every vote and critique',
  }),
  negatives: topic<Negative>('negatives', {
    schema: 'negative',
    kept: { days: 30 },
    keyed: true,
    about: 'failed responses that a tree refines',
  }),
  expand: topic<Expansion>('search.expand', {
    schema: 'expansion',
    kept: { days: 7 },
    maxBytes: eightMiB,
    about: 'trees whose frontier is to be refined',
  }),
  evaluate: topic<Evaluation>('search.evaluate', {
    schema: 'evaluation',
    kept: { days: 7 },
    maxBytes: eightMiB,
    about: 'trees whose new candidates are to be judged',
  }),
  nodes: topic<SearchNode>('search.nodes', {
    schema: 'search_node',
    kept: 'forever',
    keyed: true,
    maxBytes: eightMiB,
    about: 'every judged node, whole',
  }),
  refinements: topic<Refinement>('refinements', {
    schema: 'refinement',
    kept: 'forever',
    keyed: true,
    maxBytes: eightMiB,
    about: 'accepted nodes with the path that led to them',
  }),
  pairs: topic<PreferencePair>('preference-pairs', {
    schema: 'preference_pair',
    kept: 'forever',
    keyed: true,
    maxBytes: eightMiB,
    about: 'chosen and rejected, with full lineage',
  }),
  outcomes: topic<Outcome>('outcomes', {
    schema: 'outcome',
    kept: 'forever',
    keyed: true,
    about: 'how each instruction, or tree, ended',
  }),
  deadLetters: topic<DeadLetter>('dead-letters', {
    schema: 'dead_letter',
    kept: 'forever',
    keyed: true,
    maxBytes: nineMiB,
    about: 'records that could not be processed, as they came',
  }),
  iterations: topic<Iteration>('iterations', {
    schema: 'iteration',
    kept: 'latest',
    keyed: true,
    about: 'one manifest per iteration',
  }),
  removals: topic<Removal>('removals', {
    schema: 'removal',
    kept: 'latest',
    keyed: true,
    about: 'what people took out of exports, and why',
  }),
};
