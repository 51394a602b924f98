import { family } from '../constraint.ts';
import { counted, isBlankText, strip } from '../text.ts';

/** `combination:two_responses`: two different responses with six asterisks between them. */
export const twoResponses = family(
  {},
  {
    describe: () => 'Give two different responses, with ****** between them.',
    check: (response) => {
      const parts = response.split('******');
      const responses = parts.filter((part) => !isBlankText(part)).map(strip);
      // The mark may stand before the first or after the last response, but not twice between two.
      if (parts.slice(1, -1).some(isBlankText)) {
        return { satisfied: false, detail: 'an empty response between two marks' };
      }
      if (responses.length !== 2) {
        return { satisfied: false, detail: `${counted(responses.length, 'response')}; 2 wanted` };
      }
      const satisfied = responses[0] !== responses[1];
      return { satisfied, detail: satisfied ? '2 responses' : 'the 2 responses are the same' };
    },
  },
);
