/**
 * Keeps the items with the smallest keys, at most `limit` of them (held: twice as many), whatever the order in
 * which they come; equal keys are settled by id. An id that comes again is kept once.
 */
export class Smallest<Item> {
  private readonly limit: number;
  private held = new Map<string, Entry<Item>>();
  private bound = Number.POSITIVE_INFINITY;

  constructor(limit: number) {
    this.limit = limit;
  }

  add(key: number, id: string, item: Item): void {
    if (key > this.bound || this.held.has(id)) return;
    this.held.set(id, { key, id, item });
    if (this.held.size > 2 * this.limit) this.cut();
  }

  /** In order of key. */
  items(): readonly Item[] {
    return this.cut().map(({ item }) => item);
  }

  private cut(): readonly Entry<Item>[] {
    const kept = [...this.held.values()].sort(byKey).slice(0, this.limit);
    this.held = new Map(kept.map((entry) => [entry.id, entry]));
    if (kept.length === this.limit) this.bound = kept.at(-1)?.key ?? Number.NEGATIVE_INFINITY;
    return kept;
  }
}

interface Entry<Item> {
  readonly key: number;
  readonly id: string;
  readonly item: Item;
}

/** The order of all exports: by a key that chance gave, then by id. */
export const byKey = (
  one: { readonly key: number; readonly id: string },
  other: { readonly key: number; readonly id: string },
): number => one.key - other.key || (one.id < other.id ? -1 : 1);
