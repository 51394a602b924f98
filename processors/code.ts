import type { Check, Constraint, JudgeBy } from '../schemas/records.ts';
import { PermanentError, type Context } from './processor.ts';
import { checksOn, decidedByCode, isCheckable, judgeOf, type CodeDecision } from './rules/code.ts';

/** A record of an instruction: what it asks for, and who judges. */
export interface Asked {
  readonly id: string;
  readonly constraints: readonly Constraint[];
  readonly judge_by: JudgeBy | null;
}

/** What code found in a text, whoever judges; and what it decides, if it does. */
export function checked(
  text: string,
  record: Asked,
  { settings, languageOf }: Pick<Context, 'settings' | 'languageOf'>,
): { readonly checks: readonly Check[]; readonly decision: CodeDecision | null } {
  const checks = checksOn(text, record.constraints, languageOf);
  const by = judgeOf(record, settings);
  return { checks, decision: decidedByCode(checks, record.constraints, by, settings.search) };
}

/**
 * Code alone has nothing to go by where an instruction has no constraint that it knows. Whoever begins with it says so
 * before anything is asked.
 *
 * @throws PermanentError `no-constraints`
 */
export function mustBeCheckable(record: Asked, { settings }: Pick<Context, 'settings'>): void {
  if (judgeOf(record, settings) !== 'code' || isCheckable(record.constraints)) return;
  throw new PermanentError(
    'no-constraints',
    `${record.id} is to be judged by code, but has no constraint that code can check; ` +
      'judge.by: both leaves such instructions to the model',
  );
}
