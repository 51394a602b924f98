import type { Negative, Outcome, PreferencePair, Refinement } from '../schemas/records.ts';
import type { Processor, Table } from './processor.ts';
import { savingsOf } from './rules/savings.ts';
import { spendOf } from './rules/spend.ts';
import { gateOf, passes } from './rules/tree.ts';
import { rulesVersion } from './rules/version.ts';

/**
 * Joins an accepted refinement with the failure it started from: they differ only where it matters. Once per tree:
 * a refinement that comes again finds its pair and adds nothing.
 */
export const pair: Processor<
  Refinement,
  { pairs: PreferencePair; outcomes: Outcome },
  { negatives: Table<Negative>; paired: Table<PreferencePair> }
> = async (record, { settings, tables, signal }) => {
  if (await tables.paired.find(record.id)) return {};
  // A stage that is replayed under a stricter gate than the search had may refuse what the search accepted.
  const gate = gateOf(settings.search, record.judge_by);
  if (!passes(record.value, gate)) return { outcomes: [outcomeOf(record, 'exhausted')] };
  const negative = await tables.negatives.wait(record.id, signal);
  return {
    pairs: [join(record, negative, gate.gate)],
    outcomes: [outcomeOf(record, 'paired')],
  };
};

function join(record: Refinement, negative: Negative, gate: number): PreferencePair {
  const accepted = record.path.at(-1);
  const { constraints, source, extra, actor_model } = negative;
  const { id, iteration, instruction_id, tree, trees, messages, node_id, depth, path } = record;
  const { evaluated, dropped, judge_model, judge_prompt, refiner_model, refine_prompt } = record;
  return {
    id,
    iteration,
    instruction_id,
    tree,
    trees,
    messages,
    constraints,
    source,
    extra,
    chosen: record.text,
    rejected: negative.response,
    chosen_value: record.value,
    chosen_yes: accepted?.yes ?? 0,
    chosen_no: accepted?.no ?? 0,
    chosen_invalid: accepted?.invalid ?? 0,
    rejected_index: negative.response_index,
    rejected_yes: negative.yes,
    rejected_no: negative.no,
    rejected_invalid: negative.invalid,
    rejected_critique: negative.critique,
    gate,
    judge_by: record.judge_by,
    node_id,
    depth,
    path,
    evaluated,
    dropped,
    actor_model,
    judge_model,
    judge_prompt,
    refiner_model,
    refine_prompt,
    rules: rulesVersion,
    ...spendOf(record),
    ...savingsOf(record),
  };
}

const outcomeOf = (record: Refinement, outcome: 'paired' | 'exhausted'): Outcome => ({
  id: record.id,
  iteration: record.iteration,
  instruction_id: record.instruction_id,
  tree: record.tree,
  trees: record.trees,
  outcome,
  cause: null,
  revision: 0,
  evaluated: record.evaluated,
  ...spendOf(record),
  ...savingsOf(record),
});
