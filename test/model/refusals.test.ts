import { describe, expect, test } from 'vitest';
import { CallError } from '../../infra/model/endpoint.ts';
import { AdaptiveLimiter, type Limiter } from '../../infra/model/limiter.ts';
import { retryPolicy, type RetrySettings } from '../../infra/model/policy.ts';
import { CallQueue } from '../../infra/model/queue.ts';
import { randomOf } from '../../infra/simulator/random.ts';
import { virtualTime } from '../support/virtual-time.ts';
import { never } from './support.ts';

const limit = 64;
/** More than may be in flight, so that others go while some wait. */
const callers = 4 * limit;
const retries: RetrySettings = {
  attempts: 8,
  firstDelayMs: 500,
  maxDelayMs: 30_000,
  maxRetryAfterMs: 120_000,
  downAfter: 10,
  busyAfter: 30,
  downFirstDelayMs: 1000,
  downMaxDelayMs: 60_000,
};

interface Refusing {
  /** What the server takes to answer. */
  readonly latencyMs: number;
  /** Requests that it works on at once; the others wait there. */
  readonly slots?: number;
  /** Requests in a hundred that it refuses, whatever it has to do. */
  readonly percent: number;
  readonly limiter: Limiter;
  readonly calls: number;
}

/** Calls that were answered in a second, and how many of the callers' were given up, while so many ask at once. */
async function askedAtOnce(options: Refusing) {
  const { latencyMs, slots = Infinity, percent, limiter, calls } = options;
  const time = virtualTime();
  const queue = new CallQueue(limiter);
  const random = randomOf('refusals', percent, latencyMs);
  const free = Array.from({ length: Math.min(slots, 4 * callers) }, () => 0);
  const send = async () => {
    if (random() < percent / 100) {
      throw new CallError('rate-limited', 'full', { status: 429, retryAfterMs: 1000 });
    }
    const now = time.monotonic();
    const first = free.indexOf(Math.min(...free));
    const startMs = Math.max(now, free[first] as number);
    free[first] = startMs + latencyMs * (0.5 + random());
    await time.sleep(free[first] - now);
  };
  const policy = retryPolicy(retries, time, send);
  let [asked, lost] = [0, 0];
  const attempt = async (go: () => void) => {
    const release = await queue.acquire({ rank: 0, order: 0, ask: 0 }, 1, never);
    const sentMs = time.monotonic();
    try {
      go();
      await send();
      queue.answered({ nowMs: time.monotonic(), sentMs, places: 1, tokens: 100 });
    } catch (error) {
      if (error instanceof CallError) {
        queue.refused({ nowMs: time.monotonic(), sentMs, places: 1 });
      }
      throw error;
    } finally {
      release();
    }
  };
  const caller = async () => {
    while (asked++ < calls) {
      await policy
        .run(attempt, random(), never, () => undefined)
        .catch((error: unknown) => {
          if (!(error instanceof CallError)) throw error;
          lost++;
        });
    }
  };
  await time.drive(Promise.all(Array.from({ length: callers }, caller)));
  return { perSecond: calls / (time.monotonic() / 1000), lost };
}

const fixedLimit: Limiter = {
  limit,
  most: limit,
  answered: () => undefined,
  refused: () => undefined,
  observed: () => undefined,
};

describe('refusals that have nothing to do with how much is asked', () => {
  const servers = [
    ['fast', 50, 5, 40_000],
    ['of some seconds', 3000, 5, 3000],
    ['slow', 20_000, 5, 6000],
    ['of some seconds, often', 3000, 20, 3000],
    ['of some seconds, seldom', 3000, 1, 3000],
  ] as const;

  test.each(servers)(
    'hold only those up that are refused: %s',
    async (_name, latencyMs, percent, calls) => {
      const asked = { latencyMs, calls, limiter: fixedLimit };
      const usual = await askedAtOnce({ ...asked, percent: 0 });
      const refusing = await askedAtOnce({ ...asked, percent });
      expect(refusing.lost).toBe(0);
      expect(refusing.perSecond).toBeGreaterThan(0.9 * usual.perSecond);
    },
  );

  test.each(servers)(
    'do not lower the limit for good: %s',
    async (_name, latencyMs, percent, calls) => {
      const limiter = () => new AdaptiveLimiter({ first: limit, most: 256 });
      const asked = { latencyMs, calls, slots: 64 };
      const usual = await askedAtOnce({ ...asked, percent: 0, limiter: limiter() });
      const refusing = await askedAtOnce({ ...asked, percent, limiter: limiter() });
      expect(refusing.lost).toBe(0);
      expect(refusing.perSecond).toBeGreaterThan(0.85 * usual.perSecond);
    },
  );
});
