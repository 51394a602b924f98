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

export const { ids, describe, check, checkLoose } = checkerOf(ifeval, languageOf);
