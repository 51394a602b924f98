import { family } from '../constraint.ts';
import { isBlankText, stripOf } from '../text.ts';

/** `detectable_format:title`: a title in double angle brackets, `<<Joy>>`, within a line. */
export const title = family(
  {},
  {
    describe: () => 'Give a title in double angle brackets, such as <<poem of joy>>.',
    check: (response) => {
      const satisfied = response.split('\n').some(holdsTitle);
      return { satisfied, detail: satisfied ? 'has a title' : 'no title such as <<title>>' };
    },
  },
);

/** From the first brackets that open to the last that close. */
function holdsTitle(line: string): boolean {
  const start = line.indexOf('<<');
  const end = line.lastIndexOf('>>');
  if (start < 0 || end < start + 3) return false;
  return !isBlankText(stripOf(line.slice(start, end + 2), '<', '>'));
}
