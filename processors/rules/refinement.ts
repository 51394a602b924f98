/**
 * The refinement in a refiner's answer: the trimmed text after the first `[[start]]`, up to the next `[[end]]` or
 * `[[start]]`; a missing `[[end]]` is accepted, as in the reference code (arXiv 2412.11605).
 *
 * @returns null without `[[start]]`; an empty text if there is nothing between the marks.
 */
export function refinementIn(answer: string): string | null {
  const mark = '[[start]]';
  const start = answer.indexOf(mark);
  if (start < 0) return null;
  const rest = answer.slice(start + mark.length);
  const ends = [rest.indexOf('[[end]]'), rest.indexOf(mark)].filter((end) => end >= 0);
  return rest.slice(0, Math.min(rest.length, ...ends)).trim();
}
