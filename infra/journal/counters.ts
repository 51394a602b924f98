/** Sums by iteration and name. */
export interface Counters {
  add(iteration: string, counters: Readonly<Record<string, number>>): void;
  of(iteration: string): Readonly<Record<string, number>>;
  all(): Iterable<readonly [iteration: string, counters: Readonly<Record<string, number>>]>;
}

export function createCounters(): Counters {
  const sums = new Map<string, Map<string, number>>();
  const plain = (named: ReadonlyMap<string, number> | undefined) => Object.fromEntries(named ?? []);
  return {
    add(iteration, counters) {
      const named = sums.get(iteration) ?? new Map<string, number>();
      sums.set(iteration, named);
      for (const [name, value] of Object.entries(counters)) {
        named.set(name, (named.get(name) ?? 0) + value);
      }
    },
    of: (iteration) => plain(sums.get(iteration)),
    all: () => [...sums].map(([iteration, named]) => [iteration, plain(named)] as const),
  };
}
