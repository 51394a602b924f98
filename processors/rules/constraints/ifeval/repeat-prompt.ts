import { text } from '../arguments.ts';
import { family } from '../constraint.ts';
import { quoted, strip } from '../text.ts';

/** `combination:repeat_prompt`: the response begins with the request, word for word, in any case. */
export const repeatPrompt = family<{ prompt_to_repeat: string }>(
  { prompt_to_repeat: text },
  {
    describe: ({ prompt_to_repeat: prompt }) =>
      `First repeat this word for word, then answer: "${prompt}"`,
    check: (response, { prompt_to_repeat: prompt }) => {
      const satisfied = strip(response).toLowerCase().startsWith(prompt.toLowerCase());
      return {
        satisfied,
        detail: satisfied ? 'begins with the request' : `begins with ${quoted(strip(response))}`,
      };
    },
  },
);
