import type { Responses, Verdicts } from '../schemas/records.ts';
import type { Processor } from './processor.ts';
import { spendWith } from './rules/spend.ts';
import { tally } from './rules/vote.ts';
import { votesOn } from './votes.ts';

/** Judges every response of an instruction by votes, and keeps them all: a failed one may become a negative. */
export const judge: Processor<Responses, { verdicts: Verdicts }> = async (record, context) => {
  const held = await Promise.all(
    record.responses.map(({ index, text }) =>
      votesOn(text, record, { path: String(index), round: 0 }, context),
    ),
  );
  // The critique that we keep becomes training data, so `tally` picks one that argues for the majority.
  const judged = held.map(({ votes }, position) =>
    tally(record.responses[position]?.index ?? position, votes),
  );
  const spend = spendWith(
    record,
    held.map(({ spend: asked }) => asked),
  );
  const { models, prompts } = context.settings;
  return {
    verdicts: [
      { ...record, judged, judge_model: models.judge, judge_prompt: prompts.judge.hash, ...spend },
    ],
  };
};
