import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { AdaptiveLimiter } from '../../infra/model/limiter.ts';

const latencyMs = 10_000;

/** A limiter whose calls are of one choice and 100 tokens, on a clock set by hand. */
function limiterOf(first: number, most = 1000) {
  const changes: (readonly [limit: number, why: string])[] = [];
  const limiter = new AdaptiveLimiter({
    first,
    most,
    onChange: (limit, why) => changes.push([limit, why]),
  });
  let now = 0;
  const answers = (calls: number, isFull = true, tookMs = latencyMs) => {
    for (let call = 0; call < calls; call++) {
      limiter.answered({ nowMs: now, sentMs: now - tookMs, places: 1, tokens: 100, isFull });
    }
  };
  return {
    limiter,
    changes,
    answers,
    wait: (ms: number) => (now += ms),
    /** A call that is sent now is refused at once. */
    refuse: (others: number) => limiter.refused({ nowMs: now, sentMs: now, places: 1, others }),
    /** So many limits' worth of answers, each of a server that runs so many calls at once and lets the others wait. */
    serve: (rounds: number, slots: number) => {
      for (let round = 0; round < rounds; round++) {
        const { limit } = limiter;
        const tookMs = latencyMs * Math.max(1, limit / slots);
        now += tookMs;
        answers(Math.max(limit, 24), true, tookMs);
      }
    },
  };
}

describe('from a cold start', () => {
  test.each([
    ['begins as it is told', 64, 1000, 64],
    ['is never above the most', 64, 8, 8],
  ])('the limit %s', (_name, first, most, limit) => {
    expect(limiterOf(first, most).limiter.limit).toBe(limit);
  });

  test('it doubles with each round of answers', () => {
    const { limiter, serve } = limiterOf(64);
    serve(1, 1000);
    expect(limiter.limit).toBe(128);
    serve(1, 1000);
    expect(limiter.limit).toBe(256);
    serve(3, 10_000);
    expect(limiter.limit).toBe(1000);
  });

  test('it stays where it holds nobody up', () => {
    const { limiter, answers, wait } = limiterOf(64);
    wait(latencyMs);
    answers(1000, false);
    expect(limiter.limit).toBe(64);
  });
});

describe('a refusal', () => {
  test('leads back to what is safe, once for all calls that were sent before', () => {
    const { limiter, changes, wait } = limiterOf(64);
    wait(10);
    limiter.refused({ nowMs: 10, sentMs: 0, places: 1, others: 63 });
    limiter.refused({ nowMs: 11, sentMs: 1, places: 1, others: 62 });
    expect(limiter.limit).toBe(51);
    expect(changes).toEqual([[51, 'refused']]);
  });

  test('leaves no more than the server has taken', () => {
    const { limiter, refuse } = limiterOf(64);
    for (let others = 63; others >= 10; others--) refuse(others);
    expect(limiter.limit).toBe(10);
  });

  test('never leaves less than one', () => {
    const { limiter, refuse, wait } = limiterOf(64);
    for (let times = 0; times < 20; times++) {
      refuse(0);
      wait(1000);
    }
    expect(limiter.limit).toBe(1);
  });

  test('takes but a little where the limit is held, and the call that is refused until the next answer', () => {
    const { limiter, refuse, answers, wait } = limiterOf(100);
    refuse(99);
    expect(limiter.limit).toBe(84);
    wait(latencyMs);
    answers(4);
    refuse(70);
    expect(limiter.limit).toBe(70);
    answers(10);
    expect(limiter.limit).toBe(78);
  });

  test('is looked for again when it has been quiet for long; the longer, the more often it was there', () => {
    const { limiter, refuse, answers, wait } = limiterOf(20);
    const quiet: number[] = [];
    refuse(19);
    for (let times = 0; times < 6; times++) {
      let calls = 0;
      const held = () => limiter.limit <= 18;
      wait(latencyMs);
      while (held() && calls < 1000) {
        answers(1);
        calls++;
      }
      quiet.push(calls);
      wait(1);
      refuse(18);
      expect(limiter.limit).toBeLessThanOrEqual(18);
    }
    expect(quiet).toEqual([...quiet].sort((a, b) => a - b));
    // So less than one call in a hundred is refused.
    expect(quiet.at(-1)).toBeGreaterThan(100);
  });

  test('no more comes after the server has grown: the limit follows within some rounds', () => {
    const { limiter, refuse, serve, wait } = limiterOf(100);
    refuse(99);
    wait(1);
    serve(6, 10_000);
    expect(limiter.limit).toBeGreaterThan(200);
  });
});

describe('a server that lets calls wait and never refuses', () => {
  test.each([
    [64, 64],
    [100, 64],
    [64, 200],
    [16, 64],
    [512, 64],
  ])('first %i, for %i at once: enough to keep it full, and not many more', (first, slots) => {
    const { limiter, serve } = limiterOf(first, 10_000);
    serve(150, slots);
    // A trial may be under way.
    const limits = Array.from({ length: 9 }, () => (serve(1, slots), limiter.limit)).sort(
      (a, b) => a - b,
    );
    expect(limits[4]).toBeGreaterThanOrEqual(slots);
    expect(limits[4]).toBeLessThanOrEqual(2 * slots);
  });

  test('the limit follows what the server can do', () => {
    const { limiter, changes, serve } = limiterOf(64);
    serve(20, 100);
    serve(40, 50);
    expect(limiter.limit).toBeGreaterThanOrEqual(50);
    expect(limiter.limit).toBeLessThanOrEqual(100);
    expect(changes.map(([, why]) => why)).toContain('less came');
    serve(20, 200);
    expect(limiter.limit).toBeGreaterThanOrEqual(200);
  });

  test('what nobody waited for tells nothing', () => {
    const { limiter, serve, answers, wait } = limiterOf(64);
    serve(6, 100);
    const { limit } = limiter;
    for (let round = 0; round < 50; round++) {
      wait(latencyMs);
      answers(limit, false, latencyMs * 5);
    }
    expect(limiter.limit).toBe(limit);
  });
});

describe('a server that tells how much it has to do', () => {
  test.each([
    ['more wait than run: the limit goes down by those too many', { running: 64, waiting: 80 }, 52],
    ['very many wait: by half at most', { running: 64, waiting: 5000 }, 50],
    ['some wait: it is right', { running: 64, waiting: 30 }, 100],
    ['nothing runs: it says nothing', { running: 0, waiting: 0 }, 100],
  ])('%s', (_name, load, limit) => {
    const { limiter } = limiterOf(100);
    limiter.observed(load, 0);
    expect(limiter.limit).toBe(limit);
  });

  test('none wait: it goes up, once the limit has had its effect', () => {
    const { limiter, serve } = limiterOf(64);
    serve(1, 64);
    limiter.observed({ running: 64, waiting: 100 }, 20_000);
    const { limit } = limiter;
    limiter.observed({ running: 64, waiting: 0 }, 20_001);
    expect(limiter.limit).toBe(limit);
    serve(4, 64);
    limiter.observed({ running: 64, waiting: 0 }, 100_000);
    expect(limiter.limit).toBeGreaterThan(limit);
  });
});

const event = fc.oneof(
  fc.record({
    what: fc.constant('answers' as const),
    calls: fc.nat(200),
    tookMs: fc.nat(60_000),
    isFull: fc.boolean(),
  }),
  fc.record({ what: fc.constant('refused' as const), others: fc.nat(3000), agoMs: fc.nat(10_000) }),
  fc.record({ what: fc.constant('load' as const), running: fc.nat(3000), waiting: fc.nat(9000) }),
);

property.prop([
  fc.integer({ min: 1, max: 3000 }),
  fc.integer({ min: 1, max: 3000 }),
  fc.array(fc.tuple(fc.nat(20_000), event), { maxLength: 80 }),
])('whatever happens, the limit is a whole number from 1 to the most', (first, most, events) => {
  const limiter = new AdaptiveLimiter({ first, most });
  let now = 0;
  for (const [waitMs, what] of events) {
    now += waitMs;
    if (what.what === 'answers') {
      for (let call = 0; call < what.calls; call++) {
        limiter.answered({
          nowMs: now,
          sentMs: now - what.tookMs,
          places: 1 + (call % 5),
          tokens: call % 7,
          isFull: what.isFull,
        });
      }
    } else if (what.what === 'refused') {
      limiter.refused({ nowMs: now, sentMs: now - what.agoMs, places: 1, others: what.others });
    } else {
      limiter.observed(what, now);
    }
    expect(Number.isInteger(limiter.limit)).toBe(true);
    expect(limiter.limit).toBeGreaterThanOrEqual(1);
    expect(limiter.limit).toBeLessThanOrEqual(most);
  }
});
