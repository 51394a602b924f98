import type { Responses, Verdicts } from '../schemas/records.ts';
import type { Processor } from './processor.ts';
import { spendWith } from './rules/spend.ts';
import { tally } from './rules/vote.ts';
import { votesOn } from './votes.ts';

/** Judges every response of an instruction by votes, and keeps them all: a failed one may become a negative. */
export const judge: Processor<Responses, { verdicts: Verdicts }> = async (record, context) => {
  const { judge: sampling, models, prompts } = context.settings;
  const held = await Promise.all(
    record.responses.map(async ({ index, text }) => {
      const draws = { path: String(index), round: 0 };
      const { votes, spend } = await votesOn(text, record, draws, sampling, context);
      // The critique that we keep becomes training data, so `tally` picks one that argues for the majority.
      return { judged: tally(index, votes), spend };
    }),
  );
  return {
    verdicts: [
      {
        ...record,
        judged: held.map(({ judged }) => judged),
        judge_model: models.judge,
        judge_prompt: prompts.judge.hash,
        ...spendWith(
          record,
          held.map(({ spend }) => spend),
        ),
      },
    ],
  };
};
