import { describe, expect, test } from 'vitest';
import type { Order } from '../../infra/runtime/order.ts';
import { mostOpen, simulatedRun, type SimulatedRunOptions } from '../support/simulated-run.ts';

const lines = Array.from({ length: 40 }, (_, index) =>
  JSON.stringify({ id: `i${index}`, prompt: `Write ${index + 20} words about the sea.` }),
);
const orders = {
  'later-first': null,
  'first-in-first-out': () => ({ rank: 0, order: 0 }),
  'sample-first': (rank: number, order: number) => ({ rank: -rank, order }),
} satisfies Record<string, Order | null>;

/** Short answers, since idle clocks cost time, too. */
const lengths = {
  sample: { median: 35, sigma: 0.6 },
  judge: { median: 25, sigma: 0.4 },
  refine: { median: 50, sigma: 0.5 },
};

/** The production code on a clock of its own: what comes out depends on no machine. */
const simulate = (order: keyof typeof orders, change: Partial<SimulatedRunOptions> = {}) =>
  simulatedRun({
    ...{ lines, slots: 16, maxInFlight: 40, server: { lengths }, ...change },
    ...(orders[order] && { order: orders[order] }),
  });

/** Pairs that are there before the last instruction is sampled. */
function early({ servers, pairs }: Awaited<ReturnType<typeof simulate>>): number {
  const sampled = servers.flatMap(({ calls }) =>
    calls.flatMap(({ purpose, sentMs }) => (purpose === 'sample' ? [sentMs / 1000] : [])),
  );
  return pairs.filter((second) => second < Math.max(...sampled)).length;
}

describe('later stages first', () => {
  test('finishes trees before it begins new ones: few are open at a time, and pairs come early', async () => {
    const [later, sample] = [await simulate('later-first'), await simulate('sample-first')];
    expect(later.summary.outcomes).toEqual(sample.summary.outcomes);
    expect(later.pairs).toHaveLength(sample.pairs.length);
    expect(mostOpen(later.trees)).toBeLessThan(mostOpen(sample.trees) / 2);
    expect(early(later)).toBeGreaterThan(later.pairs.length / 2);
    expect(early(sample)).toBe(0);
  });

  test('goes the same every time', async () => {
    const [once, again] = [await simulate('later-first'), await simulate('later-first')];
    expect(again.seconds).toBe(once.seconds);
    expect(again.pairs).toEqual(once.pairs);
    expect(again.servers[0]?.calls).toEqual(once.servers[0]?.calls);
  });
});

describe('admission', () => {
  test.each([
    ['sample-first', 5, 1],
    ['first-in-first-out', 5, 1],
    ['later-first', 1, 1],
    ['sample-first', 10, 3],
    ['later-first', 2, 3],
  ] as const)(
    'bounds the trees in progress, whatever goes first: %s, %i open, %i of an instruction',
    async (order, openTrees, negatives) => {
      const { trees, summary } = await simulate(order, {
        openTrees,
        config: { negatives_per_instruction: negatives },
      });
      expect(summary).toMatchObject({ admitted: 40, complete: true });
      expect(trees.opened).toHaveLength(trees.ended.length);
      // One instruction may always begin, or nothing would go on.
      expect(mostOpen(trees)).toBeLessThanOrEqual(Math.max(openTrees, negatives));
    },
  );

  test('unless told otherwise, lets in twice what the endpoints take at once', async () => {
    const { trees } = await simulate('sample-first', { maxInFlight: 10 });
    expect(mostOpen(trees)).toBeLessThanOrEqual(20);
  });
});

test('a replica with fewer slots is asked less, so that the others need not wait for it', async () => {
  const { servers } = await simulate('later-first', { replicas: 4, replicaSlots: [1, 5, 5, 5] });
  const generations = servers.map(({ calls }) => calls.reduce((sum, { n }) => sum + n, 0));
  const [slow = 0, ...others] = generations;
  for (const other of others) expect(slow).toBeLessThan(other * 0.7);
});
