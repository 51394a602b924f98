import { found, ordinal, text, wholeNumber } from '../arguments.ts';
import { family } from '../constraint.ts';
import { blanks, counted, isBlankText, quoted, strip } from '../text.ts';

interface Args {
  readonly num_paragraphs: number;
  readonly nth_paragraph: number;
  readonly first_word: string;
}

/** `length_constraints:nth_paragraph_first_word`: so many paragraphs, and the first word of one of them. */
export const nthParagraphFirstWord = family<Args>(
  { num_paragraphs: wholeNumber, nth_paragraph: ordinal, first_word: text },
  {
    describe: ({ num_paragraphs: wanted, nth_paragraph: nth, first_word: word }) =>
      `Write exactly ${counted(wanted, 'paragraph')}, with an empty line between them; ` +
      `begin paragraph ${nth} with ${quoted(word)}.`,
    check: (response, { num_paragraphs: wanted, nth_paragraph: nth, first_word: word }) => {
      const parts = response.split('\n\n');
      const paragraphs = parts.filter((part) => !isBlankText(part)).length;
      const first = nth <= paragraphs ? firstWordOf(parts[nth - 1] ?? '', word.length) : null;
      return {
        satisfied: paragraphs === wanted && first === word.toLowerCase(),
        detail:
          `${found(paragraphs, 'paragraph', 'exactly', wanted)}; ` +
          (first === null
            ? `there is no paragraph ${nth}`
            : `paragraph ${nth} begins with ${quoted(first)}; ${quoted(word)} wanted`),
      };
    },
  },
);

/**
 * In lower case, without the quotation marks before it and the punctuation after it; null for an empty paragraph. Of a
 * long word only as much as tells it from the one that is wanted, and a little more for the detail.
 */
function firstWordOf(paragraph: string, wanted: number): string | null {
  const stripped = strip(paragraph);
  if (stripped === '') return null;
  const [word = ''] = stripped.split(firstBlank, 1);
  const [bare = ''] = word
    .replace(/^'+/, '')
    .replace(/^"+/, '')
    .split(/[.,?!'"]/, 1);
  const enough = bare.slice(0, Math.max(60, wanted + 1));
  // Letter by letter: at the end of a word, a sigma would have another form.
  return Array.from(enough, (character) => character.toLowerCase()).join('');
}

const firstBlank = new RegExp(`[${blanks}]`);
