import type { Check, Constraint, JudgeBy } from '../../schemas/records.ts';
import type { Settings } from '../settings.ts';
import { checkerOf } from './constraints/check.ts';
import {
  InvalidConstraint,
  type Constraint as Readable,
  type Family,
  type LanguageOf,
} from './constraints/constraint.ts';
import { ifbench } from './constraints/ifbench/families.ts';
import { ifeval } from './constraints/ifeval/families.ts';
import { neutralised } from './neutral.ts';

/** Every constraint that code can check, by its name. */
const families: Readonly<Record<string, Family>> = { ...ifeval, ...ifbench };

/**
 * Code's verdict on a text, one for each constraint of the instruction, in their order.
 *
 * A constraint that code does not know, or cannot read the arguments of, is `unknown`, with the reason: it says nothing
 * of the text, and nobody's record is lost by it.
 */
export const checksOn = (
  text: string,
  constraints: readonly Constraint[],
  languageOf: LanguageOf,
): readonly Check[] => {
  const { check } = checkerOf(families, languageOf);
  return constraints.map((constraint) => {
    const { id } = constraint;
    try {
      const { satisfied, detail } = check(readable(constraint), text);
      return { id, outcome: satisfied ? 'satisfied' : 'broken', detail };
    } catch (error) {
      return { id, outcome: 'unknown', detail: messageOf(error) };
    }
  });
};

/** Whether there is any constraint that code can check. */
export const isCheckable = (constraints: readonly Constraint[]): boolean =>
  constraints.some((constraint) => descriptionOf(constraint) !== null);

/** Who judges: the instruction says so, or else the iteration. */
export const judgeOf = (
  record: { readonly judge_by: JudgeBy | null },
  { judge }: { readonly judge: Pick<Settings['judge'], 'by'> },
): JudgeBy => record.judge_by ?? judge.by;

/** Whether votes are wanted on what comes of a record, and the iteration has nobody who votes. */
export const lacksJudge = (
  record: { readonly judge_by: JudgeBy | null },
  settings: Pick<Settings, 'judge' | 'models'>,
): boolean => settings.models.judge === '' && judgeOf(record, settings) !== 'code';

/** What code alone decides of a text. */
export interface CodeDecision {
  /** Comparable with the share of yes of votes: not above the gate for a text that code refuses. */
  readonly value: number;
  readonly critique: string;
}

/**
 * What code decides of a text; null if the model's votes are to decide.
 *
 * Alone, the value is the share of the constraints that the text keeps to. Beside votes code has a veto: a text that
 * breaks a constraint has that share of the gate for a value, so that it is never above it, and of two that are refused
 * the one that breaks less is refined further.
 *
 * A text without a single constraint that code knows is the model's to judge, unless only code is to judge.
 */
export function decidedByCode(
  checks: readonly Check[],
  constraints: readonly Constraint[],
  by: JudgeBy,
  { gate }: Pick<Settings['search'], 'gate'>,
): CodeDecision | null {
  const share = satisfiedShare(checks);
  if (by === 'model' || share === null) return null;
  if (by === 'both' && share === 1) return null;
  return {
    value: by === 'both' ? share * gate : share,
    critique: codeCritique(checks, constraints),
  };
}

/** The share of the constraints known to code that a text keeps to; null if there are none. */
export function satisfiedShare(checks: readonly Pick<Check, 'outcome'>[]): number | null {
  const known = checks.filter(({ outcome }) => outcome !== 'unknown');
  if (known.length === 0) return null;
  return known.filter(({ outcome }) => outcome === 'satisfied').length / known.length;
}

/**
 * What code found, in the form of a judge's critique: what is asked for and what was found, the broken ones first,
 * and the verdict in the last line as the protocol has it. What stands in a text or a constraint cannot speak for the
 * verdict: it is shown as the judge would see it, on one line.
 */
export function codeCritique(checks: readonly Check[], constraints: readonly Constraint[]): string {
  const lines = checks.flatMap(({ id, outcome, detail }, index) => {
    if (outcome === 'unknown') return [];
    const constraint = constraints[index];
    const asked = (constraint && descriptionOf(constraint)) ?? id;
    return [{ isBroken: outcome === 'broken', text: `${flat(asked)} Found: ${flat(detail)}.` }];
  });
  const broken = lines.filter(({ isBroken }) => isBroken);
  const met = lines.filter(({ isBroken }) => !isBroken);
  const listed = (title: string, some: typeof lines) =>
    some.length === 0 ? [] : [title, ...some.map(({ text }) => `- ${text}`), ''];
  return [
    ...listed('These requirements are broken:', broken),
    ...listed('These requirements are met:', met),
    `Final Judgement: ${broken.length > 0 ? 'No' : 'Yes'}`,
  ].join('\n');
}

/** Languages are no matter of descriptions. */
const { describe } = checkerOf(families, () => null);

/** What a constraint asks for, in plain words; null if code cannot check it. */
function descriptionOf(constraint: Constraint): string | null {
  try {
    return describe(readable(constraint));
  } catch {
    return null;
  }
}

/** As the checkers take it: a record has the arguments as the text of a JSON object. */
function readable({ id, arguments: inputs }: Constraint): Readable {
  const kwargs: unknown = JSON.parse(inputs);
  if (typeof kwargs !== 'object' || kwargs === null || Array.isArray(kwargs)) {
    throw new InvalidConstraint(`${id}: its arguments have to be a JSON object`);
  }
  return { id, kwargs: kwargs as Readonly<Record<string, unknown>> };
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : '');

/** In one line, in nobody's voice but code's, and no longer than a reader needs. */
const flat = (text: string): string => {
  const line = neutralised(text.replace(/[\s\u0085]+/gu, ' ').trim());
  return line.length > flatMax ? `${line.slice(0, flatMax).toWellFormed()}…` : line;
};

const flatMax = 1000;
