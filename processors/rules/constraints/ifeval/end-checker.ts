import { text } from '../arguments.ts';
import { family } from '../constraint.ts';
import { quoted, strip, stripOf } from '../text.ts';

/** `startend:end_checker`: the response ends with a phrase, in any case; quotation marks after it do not count. */
export const endChecker = family<{ end_phrase: string }>(
  { end_phrase: text },
  {
    describe: ({ end_phrase: phrase }) => `End with exactly this: "${phrase}"`,
    check: (response, { end_phrase: phrase }) => {
      const end = stripOf(strip(response), '"').toLowerCase();
      const satisfied = end.endsWith(phrase.toLowerCase());
      return {
        satisfied,
        detail: `ends with ${quoted(end.slice(-phrase.length))}; ${quoted(phrase)} wanted`,
      };
    },
  },
);
