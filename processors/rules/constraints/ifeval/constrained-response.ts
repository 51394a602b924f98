import { family } from '../constraint.ts';
import { quoted } from '../text.ts';

const options = ['My answer is yes.', 'My answer is no.', 'My answer is maybe.'];

/** `detectable_format:constrained_response`: one of three sentences is there, letter by letter. */
export const constrainedResponse = family(
  {},
  {
    describe: () => `Answer with one of these: ${options.map(quoted).join(', ')}.`,
    check: (response) => {
      const given = options.filter((option) => response.includes(option));
      return {
        satisfied: given.length > 0,
        detail:
          given.length > 0
            ? `has ${given.map(quoted).join(', ')}`
            : `none of ${options.map(quoted).join(', ')}`,
      };
    },
  },
);
