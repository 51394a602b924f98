import { found, holds, relation, wholeNumber, type Relation } from '../arguments.ts';
import { family } from '../constraint.ts';
import { counted } from '../text.ts';
import { countCapitalWords } from '../words.ts';

/** `change_case:capital_word_frequency`: how many words are in capitals; `X-RAY` is one, `DON'T` is two. */
export const capitalWordFrequency = family<{
  capital_frequency: number;
  capital_relation: Relation;
}>(
  { capital_frequency: wholeNumber, capital_relation: relation },
  {
    describe: ({ capital_frequency: wanted, capital_relation: relation }) =>
      `Write ${relation} ${counted(wanted, 'word')} in capital letters.`,
    check: (response, { capital_frequency: wanted, capital_relation: relation }) => {
      const words = countCapitalWords(response);
      return {
        satisfied: holds(words, relation, wanted),
        detail: found(words, 'word in capitals', relation, wanted, 'words in capitals'),
      };
    },
  },
);
