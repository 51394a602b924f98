import { topics as all } from '../../topology/topics.ts';
import type { PreferenceRow, Statistics } from './format.ts';
import { records, type Topics } from './topic.ts';

/** Counts the pairs of an export one by one. */
export class Counting implements Statistics {
  readonly depths = new Map<number, number>();
  readonly chosenLengths = new Map<number, number>();
  readonly rejectedLengths = new Map<number, number>();
  trees: Statistics['trees'] = null;

  add({ depth, chosen, rejected }: PreferenceRow): void {
    count(this.depths, depth);
    count(this.chosenLengths, lengthClass(chosen));
    count(this.rejectedLengths, lengthClass(rejected));
  }
}

/** How the trees of some iterations ended; of a tree that was tried again the last word counts. */
export async function treesOf(
  topics: Topics,
  iterations: ReadonlyMap<string, unknown>,
): Promise<NonNullable<Statistics['trees']>> {
  const last = new Map<string, { readonly revision: number; readonly paired: boolean }>();
  for await (const { row } of records(topics, all.outcomes, () => undefined)) {
    if (row.tree === null || !iterations.has(row.iteration)) continue;
    const known = last.get(row.id);
    if (known && known.revision >= row.revision) continue;
    last.set(row.id, { revision: row.revision, paired: row.outcome === 'paired' });
  }
  const paired = [...last.values()].filter((tree) => tree.paired).length;
  return { ended: last.size, paired };
}

const shortestClass = 64;

const lengthClass = (text: string): number =>
  Math.max(shortestClass, 2 ** Math.ceil(Math.log2(text.length + 1)));

const count = (counts: Map<number, number>, key: number): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};
