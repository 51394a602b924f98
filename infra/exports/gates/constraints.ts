import { checksOn } from '../../../processors/rules/code.ts';
import type { LanguageOf } from '../../../processors/rules/constraints/constraint.ts';
import type { Constraint } from '../../../schemas/records.ts';
import type { Finding, Gate } from './gate.ts';

/**
 * Leaves out pairs whose chosen text breaks a constraint that code can check, whoever has judged it: votes may be
 * talked into anything, and what is learnt from such a pair is the opposite of what it is there for.
 */
export const constraintsGate =
  (languageOf: LanguageOf): Gate =>
  ({ pair, row }) =>
    brokenBy(row.chosen, pair.constraints, languageOf);

/** The first constraint that a text breaks. */
export function brokenBy(
  text: string,
  constraints: readonly Constraint[],
  languageOf: LanguageOf,
): Finding | null {
  const checks = checksOn(text, constraints, languageOf);
  const broken = checks.find(({ outcome }) => outcome === 'broken');
  return broken ? { reason: 'broken-constraint', detail: `${broken.id}: ${broken.detail}` } : null;
}
