import { family } from '../constraint.ts';
import { strip } from '../text.ts';

/** `startend:quotation`: the whole response stands in straight double quotation marks. */
export const quotation = family(
  {},
  {
    describe: () => 'Put the whole response in double quotation marks.',
    check: (response) => {
      const text = strip(response);
      const satisfied = text.length > 1 && text.startsWith('"') && text.endsWith('"');
      return {
        satisfied,
        detail: satisfied ? 'in quotation marks' : 'no quotation marks around the response',
      };
    },
  },
);
