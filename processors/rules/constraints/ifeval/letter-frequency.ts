import { found, holds, relation, wholeNumber, type Relation } from '../arguments.ts';
import { family, type Argument } from '../constraint.ts';
import { counted, countOf, strip } from '../text.ts';

/** The benchmark takes a letter from a to z, and draws one for anything else; here any character will do. */
const letter: Argument<string> = {
  expected: 'one character',
  read: (given) =>
    typeof given === 'string' && Array.from(strip(given)).length === 1
      ? strip(given).toLowerCase()
      : null,
  missing: null,
};

/** `keywords:letter_frequency`: how often a letter is there, in either case. */
export const letterFrequency = family<{
  letter: string;
  let_frequency: number;
  let_relation: Relation;
}>(
  { letter, let_frequency: wholeNumber, let_relation: relation },
  {
    describe: ({ letter, let_frequency: frequency, let_relation: relation }) =>
      `Use the letter ${letter} ${relation} ${counted(frequency, 'time')}.`,
    check: (response, { letter, let_frequency: frequency, let_relation: relation }) => {
      const times = countOf(response.toLowerCase(), letter);
      return {
        satisfied: holds(times, relation, frequency),
        detail: `${letter} ${found(times, 'time', relation, frequency)}`,
      };
    },
  },
);
