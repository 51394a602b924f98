import { found, wholeNumber } from '../arguments.ts';
import { family } from '../constraint.ts';
import { counted, isBlank } from '../text.ts';

/** `detectable_format:number_bullet_lists`: exactly so many points that begin with `*` or `-`. */
export const numberBulletLists = family<{ num_bullets: number }>(
  { num_bullets: wholeNumber },
  {
    describe: ({ num_bullets: wanted }) =>
      `Write exactly ${counted(wanted, 'bullet point')} in markdown, such as "* This is a point."`,
    check: (response, { num_bullets: wanted }) => {
      const bullets = pointsIn(response, '*') + pointsIn(response, '-');
      return {
        satisfied: bullets === wanted,
        detail: found(bullets, 'bullet point', 'exactly', wanted),
      };
    },
  },
);

/**
 * The points that a bullet opens, as the benchmark's regular expressions count them: an asterisk needs another
 * character than an asterisk after it, and if that is the end of the line, the next line is part of the point.
 */
function pointsIn(text: string, bullet: '*' | '-'): number {
  let points = 0;
  let line = 0;
  while (line < text.length) {
    let start = line;
    while (start < text.length && isBlank(text.charCodeAt(start))) start++;
    let end = start;
    if (text.charAt(start) === bullet && (bullet === '-' || /[^*]/.test(text.charAt(start + 1)))) {
      points++;
      end = endOfLine(text, bullet === '-' ? start + 1 : start + 2);
    }
    line = endOfLine(text, end) + 1;
  }
  return points;
}

function endOfLine(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}
