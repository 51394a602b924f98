import { family } from '../constraint.ts';
import { counted, countOf } from '../text.ts';

/** `punctuation:no_comma`: not one comma. Those of other scripts are no commas. */
export const noComma = family(
  {},
  {
    describe: () => 'Do not use any commas.',
    check: (response) => {
      const commas = countOf(response, ',');
      return { satisfied: commas === 0, detail: `${counted(commas, 'comma')}; none allowed` };
    },
  },
);
