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

export const systemTime: Time = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: async (delayMs, signal) => {
    try {
      await sleep(delayMs, undefined, signal ? { signal } : {});
    } catch (error) {
      throw signal?.aborted ? signal.reason : error;
    }
  },
};
