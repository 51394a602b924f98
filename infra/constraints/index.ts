/** Constraints on responses that code can check, for others: `import { check } from 'spar/constraints'`. */
import { checkerOf } from '../../processors/rules/constraints/check.ts';
import { ifbench } from '../../processors/rules/constraints/ifbench/families.ts';
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
export { ifbench, ifeval };

/** IFEval's and IFBench's, with eld to tell languages; no two have the same name. */
export const checker = checkerOf({ ...ifeval, ...ifbench }, languageOf);

/** IFBench's alone. */
export const ifbenchChecker = checkerOf(ifbench, languageOf);

export const { ids, describe, argumentsOf, check, checkLoose } = checker;
