import { found, wholeNumber } from '../arguments.ts';
import { family } from '../constraint.ts';
import { counted, isBlankText } from '../text.ts';

/**
 * `detectable_format:number_highlighted_sections`: at least so many passages between asterisks, within a line. One
 * between two asterisks on each side counts as the benchmark counts it, which depends on what stands before.
 */
export const numberHighlightedSections = family<{ num_highlights: number }>(
  { num_highlights: wholeNumber },
  {
    describe: ({ num_highlights: wanted }) =>
      `Highlight at least ${counted(wanted, 'section')} in markdown, such as *a section*.`,
    check: (response, { num_highlights: wanted }) => {
      const highlights =
        passagesIn(response, /\*([^\n*]*)\*/g) + passagesIn(response, /\*\*([^\n*]*)\*\*/g);
      return {
        satisfied: highlights >= wanted,
        detail: found(highlights, 'highlighted section', 'at least', wanted),
      };
    },
  },
);

function passagesIn(text: string, pattern: RegExp): number {
  let passages = 0;
  for (const [, passage = ''] of text.matchAll(pattern)) if (!isBlankText(passage)) passages++;
  return passages;
}
