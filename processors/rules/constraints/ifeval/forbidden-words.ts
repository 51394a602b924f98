import { texts } from '../arguments.ts';
import { family } from '../constraint.ts';
import { inAnyCase, isLetter, quoted } from '../text.ts';

/** `keywords:forbidden_words`: none of the words is there as a word of its own, in any case. */
export const forbiddenWords = family<{ forbidden_words: readonly string[] }>(
  { forbidden_words: texts },
  {
    describe: ({ forbidden_words: words }) =>
      `Do not use any of these: ${words.map(quoted).join(', ')}.`,
    check: (response, { forbidden_words: words }) => {
      const used = words.filter((word) => holdsWord(response, word));
      return {
        satisfied: used.length === 0,
        detail:
          used.length === 0
            ? `none of ${words.map(quoted).join(', ')} found`
            : `${used.map(quoted).join(', ')} found; not allowed`,
      };
    },
  },
);

/** Whether a text has a word as a word of its own, in any case. */
export function holdsWord(text: string, word: string): boolean {
  const pattern = inAnyCase(word);
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    if (isBorder(text, match.index) && isBorder(text, pattern.lastIndex)) return true;
    // A place that overlaps this one may still be a word of its own.
    pattern.lastIndex = match.index + ((text.codePointAt(match.index) as number) > 0xffff ? 2 : 1);
  }
  return false;
}

/** Whether a word begins or ends here: a letter, digit or underscore on one side, and none on the other. */
const isBorder = (text: string, index: number): boolean =>
  isLetterBefore(text, index) !== isLetter(text.codePointAt(index) ?? 0);

function isLetterBefore(text: string, index: number): boolean {
  if (index === 0) return false;
  const pair = index > 1 ? (text.codePointAt(index - 2) as number) : 0;
  return isLetter(pair > 0xffff ? pair : text.charCodeAt(index - 1));
}
