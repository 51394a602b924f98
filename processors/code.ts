import type { Check, Constraint, JudgeBy } from '../schemas/records.ts';
import { PermanentError, type Context } from './processor.ts';
import {
  checksOn,
  decidedByCode,
  isCheckable,
  judgeOf,
  lacksJudge,
  type CodeDecision,
} from './rules/code.ts';

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
 * Code alone has nothing to go by where an instruction has no constraint that it knows, and nobody votes where the
 * iteration has no judge. Whoever begins with such an instruction says so before anything is asked.
 *
 * @throws PermanentError `no-constraints` or `no-judge`
 */
export function mustBeJudgeable(record: Asked, { settings }: Pick<Context, 'settings'>): void {
  const by = judgeOf(record, settings);
  if (lacksJudge(record, settings)) {
    throw new PermanentError(
      'no-judge',
      `${record.id} wants a model's votes (judge_by: ${by}), but the iteration has no judge; ` +
        'take it in another one that has models.judge in its config, or give it judge_by: code',
    );
  }
  if (by !== 'code' || isCheckable(record.constraints)) return;
  throw new PermanentError(
    'no-constraints',
    `${record.id} is to be judged by code, but has no constraint that code can check; ` +
      'judge.by: both leaves such instructions to the model',
  );
}
