import { found, holds, relation, wholeNumber, type Relation } from '../arguments.ts';
import { family } from '../constraint.ts';
import { counted } from '../text.ts';
import { countWords } from '../words.ts';

/** `length_constraints:number_words`: how many words there are; `don't` is two. */
export const numberWords = family<{ num_words: number; relation: Relation }>(
  { num_words: wholeNumber, relation },
  {
    describe: ({ num_words: wanted, relation }) => `Write ${relation} ${counted(wanted, 'word')}.`,
    check: (response, { num_words: wanted, relation }) => {
      const words = countWords(response);
      return {
        satisfied: holds(words, relation, wanted),
        detail: found(words, 'word', relation, wanted),
      };
    },
  },
);
