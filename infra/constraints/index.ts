/** Constraints on responses that code can check, for others: `import { check } from 'spar/constraints'`. */
import { checkerOf } from '../../processors/rules/constraints/check.ts';
import { ifeval } from '../../processors/rules/constraints/ifeval/families.ts';
import { languageOf } from './language.ts';

export {
  checkerOf,
  constraintsOf,
  type Checker,
} from '../../processors/rules/constraints/check.ts';
export {
  InvalidConstraint,
  type Constraint,
  type Family,
  type LanguageOf,
  type Verdict,
} from '../../processors/rules/constraints/constraint.ts';
export { ifeval };

/** All that are known here, with eld to tell languages. */
export const checker = checkerOf(ifeval, languageOf);

export const { ids, describe, argumentsOf, check, checkLoose } = checker;
