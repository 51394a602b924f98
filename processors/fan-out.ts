import type { Expansion, Judged, Negative, Outcome, Verdicts } from '../schemas/records.ts';
import type { Processor } from './processor.ts';
import type { Settings } from './settings.ts';
import { decidedByCode, judgeOf } from './rules/code.ts';
import { fullId } from './rules/ids.ts';
import { chooseNegatives } from './rules/negatives.ts';
import { noSavings, savingsOf } from './rules/savings.ts';
import { noSpend, spendOf } from './rules/spend.ts';
import { plant } from './rules/tree.ts';
import { count, valueOf } from './rules/vote.ts';

/**
 * Starts a tree for each of a few failed responses. Without any the instruction ends here: either every response
 * passed, or some were neither passed nor failed.
 */
export const fanOut: Processor<
  Verdicts,
  { negatives: Negative; expand: Expansion; outcomes: Outcome }
  // Nothing is awaited: a processor is asynchronous by its port.
  // eslint-disable-next-line @typescript-eslint/require-await
> = async (record, { settings, chance }) => {
  const chosen = chooseNegatives(record.judged, settings.negatives_per_instruction, chance);
  if (chosen.length === 0) return { outcomes: [outcomeOf(record)] };
  const trees = chosen.map((judged, tree) => treeOf(record, judged, tree, chosen.length, settings));
  return {
    negatives: trees.map(({ negative }) => negative),
    expand: trees.map(({ expansion }) => expansion),
  };
};

function treeOf(
  record: Verdicts,
  judged: Judged,
  tree: number,
  trees: number,
  settings: Settings,
): { readonly negative: Negative; readonly expansion: Expansion } {
  const { iteration, instruction_id, messages, constraints, judge_by, source, extra } = record;
  const { actor_model, judge_model, judge_prompt } = record;
  const response = record.responses.find(({ index }) => index === judged.index);
  if (!response) throw new Error(`${record.id} has votes on a response ${judged.index} it lacks`);
  const votes = count(judged.votes);
  const by = judgeOf(record, settings);
  const byCode =
    judged.judged_by === 'code'
      ? decidedByCode(judged.checks, constraints, by, settings.search)
      : null;
  const { judged_by } = judged;
  const critique = judged.critique ?? '';
  const head = {
    id: fullId(iteration, instruction_id, String(tree)),
    iteration,
    instruction_id,
    tree,
    trees,
    messages,
    constraints,
  };
  return {
    negative: {
      ...head,
      source,
      extra,
      response_index: judged.index,
      response: response.text,
      reasoning: response.reasoning,
      ...votes,
      critique,
      judged_by,
      actor_model,
      judge_model,
      judge_prompt,
    },
    expansion: {
      ...head,
      judge_by,
      ...plant(response.text, {
        ...votes,
        value: byCode?.value ?? valueOf(votes) ?? 0,
        critique,
        judged_by,
      }),
      // What came before the trees is counted once, so that the outcomes add up to the whole.
      ...(tree === 0 ? spendOf(record) : noSpend),
      ...(tree === 0 ? savingsOf(record) : noSavings),
    },
  };
}

function outcomeOf(record: Verdicts): Outcome {
  const tied = record.judged.some(({ verdict }) => verdict === 'tie');
  return {
    id: record.id,
    iteration: record.iteration,
    instruction_id: record.instruction_id,
    tree: null,
    trees: 0,
    outcome: tied ? 'undecided' : 'all-passed',
    cause: null,
    revision: 0,
    evaluated: 0,
    ...spendOf(record),
    ...savingsOf(record),
  };
}
