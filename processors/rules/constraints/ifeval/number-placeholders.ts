import { found, wholeNumber } from '../arguments.ts';
import { family } from '../constraint.ts';
import { counted } from '../text.ts';

/** `detectable_content:number_placeholders`: at least so many pairs of square brackets, such as `[address]`. */
export const numberPlaceholders = family<{ num_placeholders: number }>(
  { num_placeholders: wholeNumber },
  {
    describe: ({ num_placeholders: wanted }) =>
      `Use at least ${counted(wanted, 'placeholder')} in square brackets, such as [address].`,
    check: (response, { num_placeholders: wanted }) => {
      const placeholders = response.split('\n').reduce((sum, line) => sum + pairsIn(line), 0);
      return {
        satisfied: placeholders >= wanted,
        detail: found(placeholders, 'placeholder', 'at least', wanted),
      };
    },
  },
);

/** What opens is closed by the next bracket that closes; what is opened in between belongs to it. */
function pairsIn(line: string): number {
  let pairs = 0;
  let open = line.indexOf('[');
  while (open >= 0) {
    const close = line.indexOf(']', open);
    if (close < 0) break;
    pairs++;
    open = line.indexOf('[', close);
  }
  return pairs;
}
