import type { Lineage, Format, RowSet } from './format.ts';
import { isConversation, keysProblem } from './format.ts';
import {
  listOf,
  long,
  real,
  realOrNull,
  struct,
  text,
  textOrNull,
  truth,
  turns,
  whole,
  type Columns,
} from './parquet.ts';

const vote = struct({ vote: text, critique: text, finish_reason: text });
const check = struct({ id: text, outcome: text, detail: text });

const columns: Columns = {
  id: text,
  iteration: text,
  instruction_id: text,
  tree: whole,
  trees: whole,
  messages: turns,
  constraints: listOf(struct({ id: text, arguments: text })),
  source: text,
  extra: text,
  chosen: text,
  chosen_value: real,
  chosen_yes: whole,
  chosen_no: whole,
  chosen_invalid: whole,
  rejected: text,
  rejected_index: whole,
  rejected_yes: whole,
  rejected_no: whole,
  rejected_invalid: whole,
  rejected_critique: text,
  gate: real,
  judge_by: text,
  node_id: text,
  depth: whole,
  path: listOf(
    struct({
      node_id: text,
      parent_id: textOrNull,
      depth: whole,
      text,
      answer: textOrNull,
      value: real,
      yes: whole,
      no: whole,
      invalid: whole,
      critique: text,
      judged_by: text,
    }),
  ),
  evaluated: whole,
  dropped: whole,
  responses: listOf(
    struct({
      index: whole,
      text,
      finish_reason: text,
      verdict: text,
      critique: textOrNull,
      judged_by: text,
      votes: listOf(vote),
      checks: listOf(check),
    }),
  ),
  nodes: listOf(
    struct({
      node_id: text,
      parent_id: text,
      depth: whole,
      child: whole,
      state: text,
      text: textOrNull,
      answer: text,
      refine_calls: whole,
      value: realOrNull,
      votes: listOf(vote),
      checks: listOf(check),
      rounds: whole,
      critique: textOrNull,
      judged_by: text,
      equal_to: textOrNull,
    }),
  ),
  actor_model: text,
  judge_model: text,
  judge_prompt: text,
  refiner_model: text,
  refine_prompt: text,
  rules: text,
  calls: long,
  generations: long,
  prompt_tokens: long,
  completion_tokens: long,
  tokens_estimated: truth,
  cost: realOrNull,
  saved_responses: whole,
  saved_lazy_votes: whole,
  saved_early_votes: whole,
  saved_code_votes: whole,
  saved_children: whole,
  cancelled_calls: whole,
};

/** Samples with their votes, as one list. The thoughts of models are not a part of it: they are never exported. */
const responsesOf = ({ verdicts }: Lineage) =>
  (verdicts?.responses ?? []).map((response) => {
    const judged = verdicts?.judged.find(({ index }) => index === response.index);
    return {
      ...response,
      // Where judging is lazy, some are never looked at.
      verdict: judged?.verdict ?? 'unjudged',
      critique: judged?.critique ?? null,
      judged_by: judged?.judged_by ?? 'model',
      votes: judged?.votes ?? [],
      checks: judged?.checks ?? [],
    };
  });

/** The columns decide what of the records is written. */
const lineage: RowSet<Lineage> = {
  columns,
  row: (found) => ({ ...found.pair, responses: responsesOf(found), nodes: found.nodes }),
  check: (row) => {
    const { messages, chosen, rejected } = row as Record<string, unknown>;
    if (!isConversation(messages)) return 'the messages must be a list of messages';
    if (typeof chosen !== 'string' || typeof rejected !== 'string') {
      return 'chosen and rejected must be text';
    }
    return keysProblem(row, Object.keys(columns));
  },
};

/**
 * Pairs with all that led to them. In Parquet, since its columns have types: in JSON lines a loader takes a field
 * that is null in its first rows, or a list that is empty, to be so in all of them, and fails on the first other one.
 */
export const raw: Format = {
  name: 'raw',
  path: (kind, split) => `raw/${kind}/${split}.parquet`,
  sets: { lineage },
  extras: () => ({}),
};
