import type { Checker } from '../check.ts';
import { InvalidConstraint, type Constraint } from '../constraint.ts';
import { quoted } from '../text.ts';
import { contradictionsIn } from './contradictions.ts';
import { notMentioned } from './mentions.ts';

/** Something about the constraints of an instruction that is wrong, or looks so. */
export interface Finding {
  /**
   * `contradiction`: no response satisfies them. `argument`: nobody can check it, since its name or an argument is
   * wrong. `mismatch`: the text does not seem to ask for it. `drawn`: the benchmark draws an argument at random, so its
   * own verdict says nothing.
   */
  readonly kind: (typeof kinds)[number];
  /** The names of the constraints that it is about. */
  readonly constraints: readonly string[];
  readonly why: string;
}

export const kinds = ['contradiction', 'argument', 'mismatch', 'drawn'] as const;

/** All that rules can find out about the constraints of an instruction before a model is asked. */
export function findingsOf(
  { argumentsOf }: Pick<Checker, 'argumentsOf'>,
  constraints: readonly Constraint[],
  prompt: string,
): readonly Finding[] {
  const findings: Finding[] = [];
  const readable: Required<Constraint>[] = [];
  for (const constraint of constraints) {
    try {
      readable.push({ id: constraint.id, kwargs: argumentsOf(constraint) });
    } catch (error) {
      if (!(error instanceof InvalidConstraint)) throw error;
      findings.push({ kind: 'argument', constraints: [constraint.id], why: error.message });
    }
  }
  for (const { ids, why } of contradictionsIn(readable)) {
    findings.push({ kind: 'contradiction', constraints: ids, why });
  }
  for (const { id, kwargs } of readable) {
    for (const why of notMentioned({ id, kwargs }, prompt)) {
      findings.push({ kind: 'mismatch', constraints: [id], why });
    }
    const { letter } = kwargs;
    if (id === 'keywords:letter_frequency' && !/^[a-z]$/.test(letter as string)) {
      const why = `the benchmark draws a letter of its own in place of ${quoted(letter as string)}`;
      findings.push({ kind: 'drawn', constraints: [id], why });
    }
  }
  return findings;
}
