import { found, wholeNumber } from '../arguments.ts';
import { family } from '../constraint.ts';
import { blanks, counted, isBlankText } from '../text.ts';

const divider = new RegExp(`[${blanks}]?\\*\\*\\*[${blanks}]?`);

/** `length_constraints:number_paragraphs`: exactly so many paragraphs between dividers of three asterisks. */
export const numberParagraphs = family<{ num_paragraphs: number }>(
  { num_paragraphs: wholeNumber },
  {
    describe: ({ num_paragraphs: wanted }) =>
      `Write exactly ${counted(wanted, 'paragraph')}, with the divider *** between them.`,
    check: (response, { num_paragraphs: wanted }) => {
      const parts = response.split(divider);
      const paragraphs = parts.filter((part) => !isBlankText(part)).length;
      // A divider may open or close the response; two in a row have an empty paragraph between them.
      if (parts.slice(1, -1).some(isBlankText)) {
        return { satisfied: false, detail: 'an empty paragraph between two dividers' };
      }
      return {
        satisfied: paragraphs === wanted,
        detail: found(paragraphs, 'paragraph', 'exactly', wanted),
      };
    },
  },
);
