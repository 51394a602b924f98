import { family } from '../constraint.ts';
import { inEnglish } from '../languages.ts';
import { firstUpper, isLower } from '../text.ts';

/** `change_case:english_lowercase`: in English, and no letter is a capital. */
export const englishLowercase = family(
  {},
  {
    describe: () => 'Answer in English, in small letters only.',
    check: (response, _args, languageOf) => {
      if (isLower(response)) return inEnglish(response, languageOf);
      const capital = firstUpper(response);
      return {
        satisfied: false,
        detail: capital === null ? 'no letters' : `has a capital ${capital}`,
      };
    },
  },
);
