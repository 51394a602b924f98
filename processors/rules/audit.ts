import type { Check, Vote } from '../../schemas/records.ts';
import { count, majority } from './vote.ts';

/**
 * How often the model's votes and code agree on texts of which code knows. A constraint is compared where code has a
 * say: the text breaks it, so that the votes should fail; or it keeps to this one and to all others, so that they should
 * pass, as far as code can tell. A text that breaks only others says nothing about this one. Ties are left out.
 */
export interface Agreement {
  /** Texts that break the constraint, and how many of them the votes let pass all the same. */
  readonly broken: number;
  readonly falsePasses: number;
  /** Texts that keep to every constraint, and how many of them the votes failed; code does not see everything. */
  readonly kept: number;
  readonly falseFails: number;
}

/** By the kind of constraint, such as `punctuation:no_comma`. */
export type Audit = Readonly<Record<string, Agreement>>;

const none: Agreement = { broken: 0, falsePasses: 0, kept: 0, falseFails: 0 };

/** The audit with one more text, if it has votes and constraints that code knows. */
export function auditWith(
  audit: Audit,
  { votes, checks }: { readonly votes: readonly Vote[]; readonly checks: readonly Check[] },
): Audit {
  const known = checks.filter(({ outcome }) => outcome !== 'unknown');
  const verdict = majority(count(votes));
  if (known.length === 0 || verdict === 'tie') return audit;
  const isKept = known.every(({ outcome }) => outcome === 'satisfied');
  const kinds = isKept ? known : known.filter(({ outcome }) => outcome === 'broken');
  const after: Record<string, Agreement> = { ...audit };
  for (const id of new Set(kinds.map((check) => check.id))) {
    const { broken, falsePasses, kept, falseFails } = after[id] ?? none;
    after[id] = isKept
      ? {
          broken,
          falsePasses,
          kept: kept + 1,
          falseFails: falseFails + (verdict === 'fail' ? 1 : 0),
        }
      : {
          broken: broken + 1,
          falsePasses: falsePasses + (verdict === 'pass' ? 1 : 0),
          kept,
          falseFails,
        };
  }
  return after;
}

/** The rates of one kind of constraint; null where there is nothing to tell one by. */
export function ratesOf({ broken, falsePasses, kept, falseFails }: Agreement): {
  readonly agreement: number | null;
  readonly falsePass: number | null;
  readonly falseFail: number | null;
} {
  const share = (part: number, all: number) => (all === 0 ? null : part / all);
  return {
    agreement: share(broken - falsePasses + kept - falseFails, broken + kept),
    falsePass: share(falsePasses, broken),
    falseFail: share(falseFails, kept),
  };
}

/** All kinds in the order of their names, with their rates, as reports have it. */
export const auditReport = (audit: Audit) =>
  Object.fromEntries(
    Object.keys(audit)
      .sort()
      .map((id) => {
        const agreement = audit[id] ?? none;
        return [id, { ...agreement, ...ratesOf(agreement) }] as const;
      }),
  );
