import { mark } from '../arguments.ts';
import { family } from '../constraint.ts';
import { blanks, quoted } from '../text.ts';

/** The benchmark's two usual marks allow for a space, and `P.P.S` for a missing full stop at its end. */
const usual: Readonly<Record<string, RegExp>> = {
  'P.S.': new RegExp(`p\\.[${blanks}]?s\\.`),
  'P.P.S': new RegExp(`p\\.[${blanks}]?p\\.[${blanks}]?s`),
};

/** `detectable_content:postscript`: the mark of a postscript is there, in any case and in any place. */
export const postscript = family<{ postscript_marker: string }>(
  { postscript_marker: mark('P.S.') },
  {
    describe: ({ postscript_marker: marker }) =>
      `End with a postscript that begins with ${quoted(marker)}.`,
    check: (response, { postscript_marker: marker }) => {
      const lower = response.toLowerCase();
      const satisfied = usual[marker]?.test(lower) ?? lower.includes(marker.toLowerCase());
      return {
        satisfied,
        detail: satisfied ? `has ${quoted(marker)}` : `no postscript with ${quoted(marker)}`,
      };
    },
  },
);
