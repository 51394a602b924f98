import { createReadStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import type { Checker } from '../../processors/rules/constraints/check.ts';
import type { Case } from './cases.ts';

/** What the benchmark said: two verdicts and perhaps why they say nothing; or what it raised instead. */
type Said =
  | { readonly strict: boolean; readonly loose: boolean; readonly note: string | null }
  | { readonly raised: string };

export const variants = ['strict', 'loose'] as const;

interface Difference {
  readonly id: string;
  readonly kwargs: Case['kwargs'];
  readonly response: string;
  readonly variant: (typeof variants)[number];
  readonly benchmark: boolean;
  readonly detail: string;
}

interface LeftOut {
  readonly cases: number;
  readonly differing: number;
}

export interface Compared {
  readonly responses: number;
  readonly verdicts: number;
  /** Verdicts that were true, so that nobody compares only failures. */
  readonly satisfied: number;
  /** The same of each name. */
  readonly shares: Readonly<Record<string, number>>;
  readonly differences: readonly Difference[];
  /** Cases in which the benchmark's verdict says nothing, by the reason, and how many of them we see differently. */
  readonly leftOut: Readonly<Record<string, LeftOut>>;
}

/**
 * Judges cases by our checkers and by the benchmark's, and prints what differs.
 *
 * @param ask has the benchmark's verdicts on a file written to another
 */
export async function compare(
  name: string,
  cases: readonly Case[],
  { check, checkLoose }: Checker,
  folder: string,
  ask: (given: string, taken: string) => Promise<unknown>,
): Promise<Compared> {
  const given = join(folder, `${name}.jsonl`);
  const taken = join(folder, `${name}-verdicts.jsonl`);
  await writeFile(given, cases.map((one) => `${JSON.stringify(one)}\n`).join(''));
  await ask(given, taken);
  const said: Said[] = [];
  // By lines: the file may be longer than a string.
  for await (const line of createInterface(createReadStream(taken)))
    said.push(JSON.parse(line) as Said);
  expect(said).toHaveLength(cases.length);

  const differences: Difference[] = [];
  const leftOut: Record<string, LeftOut> = {};
  const byName: Record<string, { readonly satisfied: number; readonly of: number }> = {};
  let [verdicts, satisfied] = [0, 0];
  for (const [index, { id, kwargs, response }] of cases.entries()) {
    const benchmark = said[index] as Said;
    const ours = {
      strict: check({ id, kwargs }, response),
      loose: checkLoose({ id, kwargs }, response),
    };
    const differing =
      'raised' in benchmark
        ? []
        : variants.filter((variant) => benchmark[variant] !== ours[variant].satisfied);
    const reason = 'raised' in benchmark ? `raised ${benchmark.raised}` : benchmark.note;
    if ('raised' in benchmark || reason !== null) {
      const name = `${id}: ${reason}`;
      const before = leftOut[name] ?? { cases: 0, differing: 0 };
      leftOut[name] = {
        cases: before.cases + 1,
        differing: before.differing + (differing.length > 0 ? 1 : 0),
      };
      continue;
    }
    verdicts += variants.length;
    const satisfiedHere = variants.filter((variant) => benchmark[variant]).length;
    satisfied += satisfiedHere;
    const share = byName[id] ?? { satisfied: 0, of: 0 };
    byName[id] = { satisfied: share.satisfied + satisfiedHere, of: share.of + variants.length };
    for (const variant of differing) {
      differences.push({
        ...{ id, kwargs, variant, benchmark: benchmark[variant] },
        detail: ours[variant].detail,
        response: response.slice(0, 400),
      });
    }
  }
  const shares = Object.fromEntries(
    Object.entries(byName).map(([id, { satisfied, of }]) => [id, satisfied / of]),
  );
  const compared = { responses: cases.length, verdicts, satisfied, shares, differences, leftOut };
  process.stdout.write(`${JSON.stringify({ [name]: compared }, null, 1)}\n`);
  return compared;
}
