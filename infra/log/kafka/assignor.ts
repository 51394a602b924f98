/** A member of a group, and the partitions that it had when it joined. */
export interface Member {
  readonly id: string;
  readonly held: readonly number[];
}

/**
 * Every partition to one member, as evenly as can be, and to whoever has it already as far as that allows: what a
 * member keeps goes on over a rebalance, and what moves is asked for anew elsewhere. A function of its input alone,
 * whatever the order of the members.
 */
export function assign(
  members: readonly Member[],
  partitions: readonly number[],
): ReadonlyMap<string, readonly number[]> {
  const sorted = [...members].sort((one, other) => (one.id < other.id ? -1 : 1));
  const free = new Set(partitions);
  const least = Math.floor(partitions.length / sorted.length);
  let extras = partitions.length % sorted.length;
  const kept = new Map<string, number[]>();
  for (const { id, held } of sorted) {
    const theirs = [...new Set(held)].sort(ascending).filter((partition) => free.has(partition));
    // The one more that some may have goes to those that hold it: so nothing moves that need not.
    const most = least + (extras > 0 && theirs.length > least ? 1 : 0);
    if (most > least) extras--;
    const mine = theirs.slice(0, most);
    for (const partition of mine) free.delete(partition);
    kept.set(id, mine);
  }
  const rest = [...free].sort(ascending);
  for (const { id } of sorted) {
    const mine = kept.get(id) ?? [];
    while (mine.length < least && rest.length > 0) mine.push(rest.shift() ?? 0);
  }
  for (const { id } of sorted) {
    const mine = kept.get(id) ?? [];
    if (mine.length === least && rest.length > 0) mine.push(rest.shift() ?? 0);
  }
  return new Map(sorted.map(({ id }) => [id, (kept.get(id) ?? []).sort(ascending)]));
}

const ascending = (one: number, other: number): number => one - other;
