import type { Check, Judged, Vote } from '../../schemas/records.ts';

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

/**
 * What a judge decided, where there is no doubt: the last line that begins with `Final Judgement`, in either spelling
 * and any case, holds one verdict and nothing else. Markup around it is let pass. A text without such a line, one that
 * says more there, and one that was cut short decide nothing: a vote is lost rather than misread.
 */
export function parseVoteStrictly(critique: string, finishReason: string): Vote['vote'] {
  if (finishReason === 'length') return 'invalid';
  const line = critique.split(/[\r\n\u2028\u2029]+/).findLast((one) => verdictLine.test(one));
  const said = line === undefined ? null : verdict.exec(line.replace(verdictLine, ''));
  if (!said) return 'invalid';
  return said[1]?.toLowerCase() === 'yes' ? 'yes' : 'no';
}

const verdictLine = /^[\s>#*_`"'“-]*final\s+judge?ment(?![\p{L}\p{N}])/iu;
// Each run of blanks and markup can be read in one way only: a judge that goes on with blanks costs no time.
const verdict =
  /^[\s*_`"'”]*(?:[:：“[(][\s*_`"'“[(]*)?(yes|no)[\s*_`"'”\])]*(?:[.!][\s*_`"'”\])]*)?$/iu;

/** One draw of the judge as a vote. */
export const voteOf = (
  choice: {
    readonly text: string;
    readonly reasoning: string | null;
    readonly finish_reason: string;
  },
  parser: 'faithful' | 'strict',
): Vote => ({
  vote:
    parser === 'strict'
      ? parseVoteStrictly(choice.text, choice.finish_reason)
      : parseVote(choice.text),
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

/**
 * Whether `left` more votes, whatever they say, leave the decision as it is: the majority, and on which side of the
 * gate the value lies if there is one.
 */
export function isDecided(
  { yes, no }: Pick<Count, 'yes' | 'no'>,
  left: number,
  gate: number | null,
): boolean {
  if (Math.abs(yes - no) <= left) return false;
  if (gate === null) return true;
  // The value lies between those of the two extremes, since each further vote moves it one way.
  const all = yes + no + left;
  return yes / all > gate === (yes + left) / all > gate;
}

/** yes / (yes + no), 0 to 1; null for a tie, which has no value. */
export const valueOf = ({ yes, no }: Pick<Count, 'yes' | 'no'>): number | null =>
  yes === no ? null : yes / (yes + no);

/**
 * All votes on a response and what they come to. The critique that is kept is the first that argues for the
 * majority, because a refinement answers to it and a refiner is trained on it.
 */
export function tally(
  index: number,
  votes: readonly Vote[],
  checks: readonly Check[] = [],
): Judged {
  const verdict = majority(count(votes));
  const critique = critiqueFor(verdict, votes);
  return { index, verdict, critique, judged_by: 'model', votes, checks };
}

function critiqueFor(verdict: Judged['verdict'], votes: readonly Vote[]): string | null {
  if (verdict === 'tie') return null;
  const side = verdict === 'pass' ? 'yes' : 'no';
  return votes.find(({ vote }) => vote === side)?.critique ?? null;
}
