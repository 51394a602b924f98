import type { Judged, Vote } from '../../schemas/records.ts';

/**
 * What a judge decided, read as the reference code reads it (arXiv 2412.11605): the text between the first and the
 * second `Final Judgement`, and in it whichever of `Yes` and `No` comes first, as case-sensitive substrings.
 *
 * So `None of them fail, Yes` is a No: pairs made by these rules can be compared with the paper's.
 */
export function parseVote(critique: string): Vote['vote'] {
  const mark = 'Final Judgement';
  const start = critique.indexOf(mark);
  if (start < 0) return 'invalid';
  const from = start + mark.length;
  const end = critique.indexOf(mark, from);
  const verdict = critique.slice(from, end < 0 ? undefined : end);
  const yes = verdict.indexOf('Yes');
  const no = verdict.indexOf('No');
  if (yes < 0 && no < 0) return 'invalid';
  if (no < 0) return 'yes';
  return yes >= 0 && yes < no ? 'yes' : 'no';
}

/** One draw of the judge as a vote. */
export const voteOf = (choice: {
  readonly text: string;
  readonly reasoning: string | null;
  readonly finish_reason: string;
}): Vote => ({
  vote: parseVote(choice.text),
  critique: choice.text,
  reasoning: choice.reasoning,
  finish_reason: choice.finish_reason,
});

/** How many votes there are of each kind. */
export interface Count {
  readonly yes: number;
  readonly no: number;
  readonly invalid: number;
}

export function count(votes: readonly Pick<Vote, 'vote'>[]): Count {
  const of = (kind: Vote['vote']) => votes.filter(({ vote }) => vote === kind).length;
  return { yes: of('yes'), no: of('no'), invalid: of('invalid') };
}

/**
 * The majority of the readable votes, or `tie`, also when none was readable.
 *
 * A tie tells us nothing about the response, so callers drop it or vote again rather than guess.
 */
export function majority({ yes, no }: Pick<Count, 'yes' | 'no'>): Judged['verdict'] {
  if (yes === no) return 'tie';
  return yes > no ? 'pass' : 'fail';
}

/** yes / (yes + no), 0 to 1; null for a tie, which has no value. */
export const valueOf = ({ yes, no }: Pick<Count, 'yes' | 'no'>): number | null =>
  yes === no ? null : yes / (yes + no);

/**
 * All votes on a response and what they come to. The critique that is kept is the first that argues for the
 * majority, because a refinement answers to it and a refiner is trained on it.
 */
export function tally(index: number, votes: readonly Vote[]): Judged {
  const verdict = majority(count(votes));
  return { index, verdict, critique: critiqueFor(verdict, votes), votes };
}

function critiqueFor(verdict: Judged['verdict'], votes: readonly Vote[]): string | null {
  if (verdict === 'tie') return null;
  const side = verdict === 'pass' ? 'yes' : 'no';
  return votes.find(({ vote }) => vote === side)?.critique ?? null;
}
