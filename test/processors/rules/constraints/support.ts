import { checkerOf } from '../../../../processors/rules/constraints/check.ts';
import type { Verdict } from '../../../../processors/rules/constraints/constraint.ts';
import { ifbench } from '../../../../processors/rules/constraints/ifbench/families.ts';
import { ifeval } from '../../../../processors/rules/constraints/ifeval/families.ts';

/** Languages for tests: by a word of each, so that no model of languages is needed. */
const languageOf = (text: string): string | null => {
  if (!/\p{L}/u.test(text)) return null;
  return /\bund\b/i.test(text) ? 'de' : 'en';
};

export const checker = checkerOf(ifeval, languageOf);
export const ifbenchChecker = checkerOf(ifbench, languageOf);

export const verdictOn = (id: string, kwargs: object, response: string): Verdict =>
  checker.check({ id, kwargs: { ...kwargs } }, response);
