import { family, type Argument } from '../constraint.ts';
import { languages, nameOf } from '../languages.ts';

const language: Argument<string> = {
  expected: `one of ${Object.keys(languages).join(', ')}`,
  read: (given) => (typeof given === 'string' && Object.hasOwn(languages, given) ? given : null),
  missing: null,
};

/**
 * `language:response_language`: all of the response is in one language. Where the language cannot be told, as of
 * digits alone, the response is given the benefit of the doubt, as the benchmark gives it.
 */
export const responseLanguage = family<{ language: string }>(
  { language },
  {
    describe: ({ language }) =>
      `Answer in ${languages[language] ?? language}, and in no other language.`,
    check: (response, { language }, languageOf) => {
      const found = languageOf(response);
      return {
        satisfied: found === null || found === language,
        detail: `${nameOf(found)}; ${nameOf(language)} wanted`,
      };
    },
  },
);
