import { texts } from '../arguments.ts';
import { family } from '../constraint.ts';
import { inAnyCase, quoted } from '../text.ts';

/** `keywords:existence`: each keyword is there, in any case, also within a longer word. */
export const existence = family<{ keywords: readonly string[] }>(
  { keywords: texts },
  {
    describe: ({ keywords }) => `Use each of these: ${keywords.map(quoted).join(', ')}.`,
    check: (response, { keywords }) => {
      const missing = keywords.filter((keyword) => !inAnyCase(keyword).test(response));
      return {
        satisfied: missing.length === 0,
        detail:
          missing.length === 0
            ? `has ${keywords.map(quoted).join(', ')}`
            : `${missing.map(quoted).join(', ')} not found`,
      };
    },
  },
);
