import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CallError, type CallErrorKind } from '../../infra/model/endpoint.ts';
import { retryPolicy, type RetrySettings } from '../../infra/model/policy.ts';
import { instantTime, manualTime, type TestTime } from '../support/time.ts';
import { never } from './support.ts';

const settings: RetrySettings = {
  attempts: 5,
  firstDelayMs: 100,
  maxDelayMs: 500,
  maxRetryAfterMs: 2000,
  downAfter: 3,
  downFirstDelayMs: 1000,
  downMaxDelayMs: 4000,
};
/** Enough that nothing counts as down. */
const sturdy = { ...settings, downAfter: 1000 };

// The breaker of the library reads the wall clock itself; ours is moved together with it.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 0 });
});
afterEach(() => {
  vi.useRealTimers();
});
const clock = (): TestTime => {
  const time = instantTime();
  return {
    ...time,
    sleep: async (delayMs, signal) => {
      await time.sleep(delayMs, signal);
      vi.setSystemTime(time.monotonic());
    },
  };
};

/** Fails so often with this, then answers. */
function endpoint(kinds: readonly CallErrorKind[], details = {}) {
  let calls = 0;
  return {
    get calls() {
      return calls;
    },
    attempt: () => {
      const kind = kinds[calls++];
      return kind === undefined
        ? Promise.resolve('answer')
        : Promise.reject(new CallError(kind, `${kind} ${calls}`, details));
    },
  };
}

const noNote = () => undefined;

describe('a call that may succeed later', () => {
  test.each([
    [0, [75, 150, 300, 375]],
    [0.5, [100, 200, 400, 500]],
  ])(
    'is tried again after waits that double up to a bound, spread by %f',
    async (jitter, waits) => {
      const time = clock();
      const { attempt } = endpoint(Array<CallErrorKind>(4).fill('timeout'));
      await expect(retryPolicy(sturdy, time).run(attempt, jitter, never, noNote)).resolves.toBe(
        'answer',
      );
      expect(time.sleeps).toEqual(waits);
    },
  );

  test.each(['rate-limited', 'server-error', 'timeout', 'cut', 'unusable'] as const)(
    '%s: so often and no more, and each retry is told',
    async (kind) => {
      const failing = endpoint(Array<CallErrorKind>(50).fill(kind));
      const told: string[] = [];
      const run = retryPolicy(sturdy, clock()).run(failing.attempt, 0, never, (error) =>
        told.push(error.kind),
      );
      await expect(run).rejects.toThrow(`${kind} 5`);
      expect(failing.calls).toBe(5);
      expect(told).toEqual([kind, kind, kind, kind]);
    },
  );

  test.each([
    ['is honoured', 700, 700],
    ['is bounded', 3_600_000, 2000],
    ['in the past is no wait', -5, 0],
  ])('what the server asks for %s', async (_name, retryAfterMs, waited) => {
    const time = clock();
    const { attempt } = endpoint(['rate-limited'], { retryAfterMs });
    await retryPolicy(sturdy, time).run(attempt, 0, never, noNote);
    expect(time.sleeps).toEqual([waited]);
  });

  test('those that were told the same time do not come back together', async () => {
    const waits = await Promise.all(
      [0.1, 0.5, 0.9].map(async (jitter) => {
        const time = clock();
        const { attempt } = endpoint(['rate-limited'], { retryAfterMs: 700 });
        await retryPolicy(sturdy, time).run(attempt, jitter, never, noNote);
        return time.sleeps[0];
      }),
    );
    expect(new Set(waits).size).toBe(3);
    for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(700);
  });
});

test.each(['context', 'rejected'] as const)('a %s request is never repeated', async (kind) => {
  const time = clock();
  const failing = endpoint([kind]);
  await expect(
    retryPolicy(settings, time).run(failing.attempt, 0, never, noNote),
  ).rejects.toMatchObject({ kind });
  expect(failing.calls).toBe(1);
  expect(time.sleeps).toEqual([]);
});

test('an error that is none of the endpoint is not repeated', async () => {
  const attempt = () => Promise.reject(new Error('a bug'));
  await expect(retryPolicy(settings, clock()).run(attempt, 0, never, noNote)).rejects.toThrow(
    'a bug',
  );
});

describe('an endpoint that is down', () => {
  test.each(['down', 'denied'] as const)(
    '%s: waiting for it uses no tries up, and the first answer ends it',
    async (kind) => {
      const time = clock();
      const policy = retryPolicy(settings, time);
      const failing = endpoint(Array<CallErrorKind>(30).fill(kind));
      const seen: (string | null)[] = [];
      const run = policy.run(
        () => {
          seen.push(policy.down?.error ?? null);
          return failing.attempt();
        },
        0,
        never,
        noNote,
      );
      await expect(run).resolves.toBe('answer');
      expect(failing.calls).toBe(31);
      // Three failures in a row are what it takes; the reason that is shown is the latest.
      expect(seen.slice(0, 5)).toEqual([null, null, null, `${kind} 3`, `${kind} 4`]);
      expect(policy.down).toBeNull();
    },
  );

  test('leaves a call all its tries for when it is back', async () => {
    const down = Array<CallErrorKind>(10).fill('down');
    const slow = Array<CallErrorKind>(4).fill('timeout');
    const failing = endpoint([...down, ...slow]);
    await expect(
      retryPolicy(settings, clock()).run(failing.attempt, 0, never, noNote),
    ).resolves.toBe('answer');
    expect(failing.calls).toBe(15);
  });

  test('is seen as down since the first time, whatever fails afterwards', async () => {
    const time = clock();
    const policy = retryPolicy(settings, time);
    const failing = endpoint(Array<CallErrorKind>(6).fill('down'));
    const since: (number | undefined)[] = [];
    await policy.run(
      () => {
        since.push(policy.down?.sinceMs);
        return failing.attempt();
      },
      0,
      never,
      noNote,
    );
    expect(since.slice(0, 3)).toEqual([undefined, undefined, undefined]);
    expect(new Set(since.slice(3)).size).toBe(1);
  });

  test('is asked by one call at a time until it answers; the others wait', async () => {
    const time = clock();
    const policy = retryPolicy(settings, time);
    let up = false;
    let now = 0;
    let most = 0;
    const attempt = async () => {
      const wasDown = policy.down !== null;
      now++;
      if (wasDown && !up) most = Math.max(most, now);
      await new Promise((resolve) => setImmediate(resolve));
      now--;
      if (up) return 'answer';
      throw new CallError('down', 'nobody there');
    };
    const runs = Array.from({ length: 20 }, (_, index) =>
      policy.run(attempt, index / 20, never, noNote),
    );
    while (time.monotonic() < 100_000) await new Promise((resolve) => setImmediate(resolve));
    expect(policy.down).not.toBeNull();
    expect(most).toBe(1);
    up = true;
    expect(await Promise.all(runs)).toEqual(runs.map(() => 'answer'));
    expect(policy.down).toBeNull();
  });

  test('refusals and slow answers do not count as down: it is there', async () => {
    for (const kind of ['rate-limited', 'timeout', 'unusable'] as const) {
      const policy = retryPolicy(settings, clock());
      const { attempt } = endpoint(Array<CallErrorKind>(4).fill(kind));
      await policy.run(attempt, 0, never, () => expect(policy.down).toBeNull());
    }
  });
});

describe('who gives up', () => {
  test.each(['timeout', 'down'] as const)('leaves the wait after %s at once', async (kind) => {
    const time = manualTime();
    const given = new AbortController();
    const { attempt } = endpoint(Array<CallErrorKind>(100).fill(kind));
    const run = retryPolicy(settings, time).run(attempt, 0, given.signal, noNote);
    run.catch(() => undefined);
    await time.advance(0);
    expect(time.asleep).toBe(1);
    given.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
    expect(time.asleep).toBe(0);
  });
});
