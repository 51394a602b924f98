import type { Judged, Response, Responses, Spend, Verdicts } from '../schemas/records.ts';
import { checked, mustBeJudgeable } from './code.ts';
import type { Context, Processor } from './processor.ts';
import { judgeOf } from './rules/code.ts';
import { inOrderOfChoice } from './rules/negatives.ts';
import { noSavings } from './rules/savings.ts';
import { noSpend, spendWith } from './rules/spend.ts';
import { gateOf, passes } from './rules/tree.ts';
import { tally } from './rules/vote.ts';
import { sampled } from './sampling.ts';
import { votesOn } from './votes.ts';

/**
 * Judges the responses of an instruction, by votes unless code decides, and keeps them all: a failed one may become a
 * negative.
 *
 * All at once; or, if it is to be lazy, in the order in which negatives are chosen, and no more than it takes to find
 * them. Then the responses that would be chosen among all are the ones that were found, and the others have no votes.
 * Where only the first ones have been sampled, it samples on while too few have failed: draws that do not know of each
 * other are in random order as they come.
 */
export const judge: Processor<Responses, { verdicts: Verdicts }> = async (record, context) => {
  const { judge: sampling, sample, models, prompts } = context.settings;
  const { lazy, votes } = sampling;
  mustBeJudgeable(record, context);
  const wanted = lazy ? context.settings.negatives_per_instruction : Infinity;
  const total = record.given ? record.responses.length : sample.responses;
  const isWhole = record.responses.length >= total;
  const responses = [...record.responses];
  const waiting =
    lazy && isWhole ? [...inOrderOfChoice(responses, context.chance)] : [...responses];
  const held: Held[] = [];
  const spent: Spend[] = [];
  for (let missing = wanted; missing > 0; missing = wanted - held.filter(hasFailed).length) {
    if (waiting.length === 0) {
      const from = responses.length;
      const count = Math.min(missing, total - from);
      if (count <= 0) break;
      const more = await sampled(record, { from, count }, context);
      responses.push(...more.responses);
      waiting.push(...more.responses);
      spent.push(more.spend);
    }
    // However these come out, every one of them is needed to find as many as are wanted.
    const next = waiting.splice(0, missing);
    held.push(...(await Promise.all(next.map((response) => vote(response, record, context)))));
  }
  const byModel = held.filter(({ judged }) => judged.judged_by === 'model');
  const early = byModel.map(({ judged }) => votes - judged.votes.length);
  // Where code alone judges, nobody would have voted on the others either.
  const others = judgeOf(record, context.settings) === 'code' ? 0 : total - held.length;
  return {
    verdicts: [
      {
        ...record,
        responses,
        judged: held.map(({ judged }) => judged).sort((one, other) => one.index - other.index),
        judge_model: models.judge,
        judge_prompt: prompts.judge.hash,
        ...spendWith(record, [...spent, ...held.map(({ spend }) => spend)]),
        ...noSavings,
        saved_responses: total - responses.length,
        saved_lazy_votes: others * votes,
        saved_early_votes: early.reduce((sum, saved) => sum + saved, 0),
        saved_code_votes: (held.length - byModel.length) * votes,
      },
    ],
  };
};

const hasFailed = ({ judged }: Held): boolean => judged.verdict === 'fail';

interface Held {
  readonly judged: Judged;
  readonly spend: Spend;
}

async function vote({ index, text }: Response, record: Responses, context: Context): Promise<Held> {
  const { checks, decision } = checked(text, record, context);
  if (decision) {
    const { value, critique } = decision;
    const gate = gateOf(context.settings.search, judgeOf(record, context.settings));
    const verdict = passes(value, gate) ? 'pass' : 'fail';
    return {
      judged: { index, verdict, critique, judged_by: 'code', votes: [], checks },
      spend: noSpend,
    };
  }
  const draws = { path: String(index), round: 0 };
  const { votes, spend } = await votesOn(text, record, draws, context.settings.judge, context);
  // The critique that we keep becomes training data, so `tally` picks one that argues for the majority.
  return { judged: tally(index, votes, checks), spend };
}
