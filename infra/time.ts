import { setTimeout as sleep } from 'node:timers/promises';

/** Time comes in from outside everywhere, so that a seeded simulation can drive the production runtime. */
export interface Time {
  /** Milliseconds since 1970, for records. */
  wall(): number;
  /** Milliseconds that never go back, for deadlines and rates. */
  monotonic(): number;
  /** Resolves after `delayMs`; rejects with the signal's reason when it aborts. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** Node takes a longer wait for one of a millisecond. Settings are bounded below it, but two may be added up. */
const timerMsMax = 2 ** 31 - 1;

export const systemTime: Time = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (delayMs, signal) => {
    try {
      await sleep(Math.min(delayMs, timerMsMax), undefined, signal ? { signal } : {});
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
};
