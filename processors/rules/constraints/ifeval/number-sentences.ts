import { found, holds, relation, wholeNumber, type Relation } from '../arguments.ts';
import { family } from '../constraint.ts';
import { countSentences } from '../sentences.ts';
import { counted } from '../text.ts';

/** `length_constraints:number_sentences`: how many sentences there are, as Punkt cuts them. */
export const numberSentences = family<{ num_sentences: number; relation: Relation }>(
  { num_sentences: wholeNumber, relation },
  {
    describe: ({ num_sentences: wanted, relation }) =>
      `Write ${relation} ${counted(wanted, 'sentence')}.`,
    check: (response, { num_sentences: wanted, relation }) => {
      const sentences = countSentences(response);
      return {
        satisfied: holds(sentences, relation, wanted),
        detail: found(sentences, 'sentence', relation, wanted),
      };
    },
  },
);
