import type { Argument } from './constraint.ts';
import { counted, isBlankText, strip } from './text.ts';

/**
 * The arguments of IFEval. The benchmark draws one at random where a number is missing or zero, and where a relation
 * or a mark is missing; here zero is zero, and what is missing is always the same.
 */

/** A number of things; 1 if it is missing. */
export const wholeNumber: Argument<number> = {
  expected: 'a whole number, 0 or more',
  read: (given) =>
    Number.isSafeInteger(given) && (given as number) >= 0 ? (given as number) : null,
  missing: 1,
};

/** The place of something, counted from 1; 1 if it is missing. */
export const ordinal: Argument<number> = {
  expected: 'a whole number, 1 or more',
  read: (given) => (wholeNumber.read(given) ?? 0) || null,
  missing: 1,
};

export type Relation = 'at least' | 'less than';

/** `at least` if it is missing. */
export const relation: Argument<Relation> = {
  expected: '"at least" or "less than"',
  read: (given) => (given === 'at least' || given === 'less than' ? given : null),
  missing: 'at least',
};

/** A text that is looked for; the white space around it does not count. */
export const text: Argument<string> = {
  expected: 'a text that is not empty',
  read: (given) => (typeof given === 'string' ? strip(given) || null : null),
  missing: null,
};

/** A mark that stands before something, such as `Section`. */
export const mark = (usual: string): Argument<string> => ({ ...text, missing: usual });

/** Texts that are looked for, each with the white space around it. */
export const texts: Argument<readonly string[]> = {
  expected: 'a list of texts that are not empty',
  read: (given) =>
    Array.isArray(given) &&
    given.length > 0 &&
    given.every((entry) => typeof entry === 'string' && !isBlankText(entry))
      ? (given as readonly string[])
      : null,
  missing: null,
};

export const holds = (found: number, relation: Relation, wanted: number): boolean =>
  relation === 'at least' ? found >= wanted : found < wanted;

/** `312 words; at least 300 wanted`. */
export const found = (
  count: number,
  one: string,
  relation: Relation | 'exactly',
  wanted: number,
  many?: string,
): string => `${counted(count, one, many)}; ${relation} ${wanted} wanted`;
