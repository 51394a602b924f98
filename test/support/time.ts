import type { Time } from '../../infra/time.ts';

/** A clock of the test's own; both kinds start at 0 and remember every sleep. */
export interface TestTime extends Time {
  /** What was slept, in order, milliseconds. */
  readonly sleeps: readonly number[];
}

/** Nobody waits: a sleep moves the clock at once and goes on in a later turn of the event loop. */
export function instantTime(): TestTime {
  const sleeps: number[] = [];
  let now = 0;
  return {
    sleeps,
    wall: () => now,
    monotonic: () => now,
    async sleep(delayMs, signal) {
      signal?.throwIfAborted();
      sleeps.push(delayMs);
      now += delayMs;
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
    },
  };
}

export interface ManualTime extends TestTime {
  /** Sleepers that wait for the clock. */
  readonly asleep: number;
  /** Moves the clock on and wakes, in order of time, whom it passes; resolves when they have had their turn. */
  advance(byMs: number): Promise<void>;
}

/** Everybody waits until the test moves the clock. */
export function manualTime(): ManualTime {
  const sleeps: number[] = [];
  const asleep = new Set<{ readonly untilMs: number; readonly wake: () => void }>();
  let now = 0;
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return {
    sleeps,
    get asleep() {
      return asleep.size;
    },
    wall: () => now,
    monotonic: () => now,
    async sleep(delayMs, signal) {
      signal?.throwIfAborted();
      sleeps.push(delayMs);
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      const sleeper = { untilMs: now + delayMs, wake: () => resolve(undefined) };
      const abandon = () => reject(signal?.reason as Error);
      asleep.add(sleeper);
      signal?.addEventListener('abort', abandon, { once: true });
      try {
        await promise;
      } finally {
        asleep.delete(sleeper);
        signal?.removeEventListener('abort', abandon);
      }
    },
    async advance(byMs) {
      const end = now + byMs;
      for (;;) {
        await turn();
        const [next] = [...asleep].sort((a, b) => a.untilMs - b.untilMs);
        if (!next || next.untilMs > end) break;
        now = Math.max(now, next.untilMs);
        asleep.delete(next);
        next.wake();
      }
      now = end;
      await turn();
    },
  };
}
