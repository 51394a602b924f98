import { found, holds, relation, text, wholeNumber, type Relation } from '../arguments.ts';
import { family } from '../constraint.ts';
import { counted, inAnyCase, quoted } from '../text.ts';

/** `keywords:frequency`: how often a keyword is there, in any case, also within longer words. */
export const frequency = family<{ keyword: string; frequency: number; relation: Relation }>(
  { keyword: text, frequency: wholeNumber, relation },
  {
    describe: ({ keyword, frequency, relation }) =>
      `Use ${quoted(keyword)} ${relation} ${counted(frequency, 'time')}.`,
    check: (response, { keyword, frequency, relation }) => {
      const times = response.match(inAnyCase(keyword))?.length ?? 0;
      return {
        satisfied: holds(times, relation, frequency),
        detail: `${quoted(keyword)} ${found(times, 'time', relation, frequency)}`,
      };
    },
  },
);
