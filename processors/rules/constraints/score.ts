import {
  bootstrap,
  wilson,
  type BootstrapSettings,
  type Estimate,
  type Share,
} from '../accuracy.ts';
import type { Checker } from './check.ts';
import type { Constraint, Verdict } from './constraint.ts';

/** The two verdicts on one constraint of a prompt. */
export interface Scored {
  readonly id: string;
  readonly strict: Verdict;
  readonly loose: Verdict;
}

/** Every constraint of a prompt, judged on one response. */
export const scoreOf = (
  { check, checkLoose }: Checker,
  constraints: readonly Constraint[],
  response: string,
): readonly Scored[] =>
  constraints.map((constraint) => {
    const strict = check(constraint, response);
    // What is satisfied as it is needs no second look.
    const loose = strict.satisfied ? strict : checkLoose(constraint, response);
    return { id: constraint.id, strict, loose };
  });

const variants = ['strict', 'loose'] as const;

/** One figure, by both kinds of verdict. */
export type Accuracy = Readonly<Record<(typeof variants)[number], Estimate>>;

/** The benchmark's four figures with their intervals, and two for each kind of constraint. */
export interface Accuracies {
  /** Prompts all of whose constraints are satisfied; Wilson's interval. */
  readonly prompt: Accuracy;
  /** Constraints that are satisfied; bootstrapped over prompts. */
  readonly instruction: Accuracy;
  /**
   * By the names of constraints, in alphabetical order. A prompt hardly ever has two of one kind, so the interval is
   * Wilson's, which holds for ten of them, too.
   */
  readonly families: Readonly<Record<string, Accuracy>>;
}

export function accuraciesOf(
  prompts: readonly (readonly Scored[])[],
  settings: BootstrapSettings,
): Accuracies {
  const families = Map.groupBy(prompts.flat(), ({ id }) => id);
  const byName = [...families].toSorted(([one], [other]) => (one < other ? -1 : 1));
  return {
    prompt: both((variant) =>
      wilson({
        followed: prompts.filter((scored) => scored.every((one) => one[variant].satisfied)).length,
        of: prompts.length,
      }),
    ),
    instruction: both((variant) =>
      bootstrap(
        prompts.map((scored) => shareOf(scored, variant)),
        settings,
      ),
    ),
    families: Object.fromEntries(
      byName.map(([id, scored]) => [id, both((variant) => wilson(shareOf(scored, variant)))]),
    ),
  };
}

const both = (estimate: (variant: (typeof variants)[number]) => Estimate): Accuracy => ({
  strict: estimate('strict'),
  loose: estimate('loose'),
});

const shareOf = (scored: readonly Scored[], variant: (typeof variants)[number]): Share => ({
  followed: scored.filter((one) => one[variant].satisfied).length,
  of: scored.length,
});
