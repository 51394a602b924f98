import { Heap } from '../../infra/heap.ts';
import type { Time } from '../../infra/time.ts';

/** A clock that runs as fast as the work on it: hours of a simulated server pass in seconds of ours. */
export interface VirtualTime extends Time {
  /** Drives the clock until `work` has ended, and hands on what it came to. */
  drive<Result>(work: Promise<Result>): Promise<Result>;
}

interface Sleeper {
  readonly untilMs: number;
  readonly sequence: number;
  readonly wake: () => void;
}

/** Turns of the event loop in which nobody went to sleep, after which everybody is taken to be waiting. */
const quietTurns = 3;
/** Real milliseconds that somebody may be at work whom the clock does not see, such as a reader of a stream. */
const unseenMsMax = 5000;

/**
 * Production code on a clock of its own. The clock moves to the next sleeper only when nothing is left to do at the
 * present moment, so what comes out does not depend on how busy this machine is.
 */
export function virtualTime(): VirtualTime {
  let now = 0;
  let sequence = 0;
  const asleep = new Heap(before);
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  async function settle(): Promise<void> {
    for (let quiet = 0, before = sequence; quiet < quietTurns; quiet++) {
      await turn();
      if (sequence === before) continue;
      before = sequence;
      quiet = 0;
    }
  }

  return {
    wall: () => Math.floor(now),
    monotonic: () => now,
    async sleep(delayMs, signal) {
      signal?.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      const sleeper: Sleeper = {
        untilMs: now + Math.max(0, delayMs),
        sequence: sequence++,
        wake: () => resolve(undefined),
      };
      const abandon = () => {
        asleep.delete(sleeper);
        reject(signal?.reason as Error);
      };
      asleep.push(sleeper);
      signal?.addEventListener('abort', abandon, { once: true });
      try {
        await promise;
      } finally {
        signal?.removeEventListener('abort', abandon);
      }
    },
    async drive(work) {
      let ended = false as boolean;
      const end = () => (ended = true);
      work.then(end, end);
      for (let unseenMs = 0; ;) {
        await settle();
        if (ended) return work;
        const next = asleep.shift();
        if (!next) {
          if (++unseenMs > unseenMsMax) throw new Error('the work waits, and nobody is asleep');
          await new Promise((resolve) => setTimeout(resolve, 1));
          continue;
        }
        unseenMs = 0;
        now = Math.max(now, next.untilMs);
        next.wake();
      }
    },
  };
}

const before = (a: Sleeper, b: Sleeper): boolean =>
  a.untilMs !== b.untilMs ? a.untilMs < b.untilMs : a.sequence < b.sequence;
