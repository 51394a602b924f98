import { family } from '../constraint.ts';
import { inEnglish } from '../languages.ts';
import { firstLower, isUpper } from '../text.ts';

/** `change_case:english_capital`: in English, and all letters are capitals. */
export const englishCapital = family(
  {},
  {
    describe: () => 'Answer in English, in capital letters only.',
    check: (response, _args, languageOf) => {
      if (isUpper(response)) return inEnglish(response, languageOf);
      const small = firstLower(response);
      return { satisfied: false, detail: small === null ? 'no letters' : `has a small ${small}` };
    },
  },
);
