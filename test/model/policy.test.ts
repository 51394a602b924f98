import { fc, test as propertyTest } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { CallError, type CallErrorKind } from '../../infra/model/endpoint.ts';
import { retryPolicy, type Policy, type RetrySettings } from '../../infra/model/policy.ts';
import { instantTime, manualTime } from '../support/time.ts';
import { never } from './support.ts';

const settings: RetrySettings = {
  attempts: 5,
  firstDelayMs: 100,
  maxDelayMs: 500,
  maxRetryAfterMs: 2000,
  downAfter: 3,
  busyAfter: 4,
  downFirstDelayMs: 1000,
  downMaxDelayMs: 4000,
};
/** Enough that no number of failures counts as down. */
const sturdy = { ...settings, downAfter: 1000, busyAfter: 1000 };

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

const times = (count: number, kind: CallErrorKind) => Array<CallErrorKind>(count).fill(kind);
const noNote = () => undefined;
const answered = () => Promise.resolve();
const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a call that may succeed later', () => {
  test.each([
    [0, [75, 150, 300, 375]],
    [0.5, [100, 200, 400, 500]],
  ])(
    'is tried again after waits that double up to a bound, spread by %f',
    async (jitter, waits) => {
      const time = instantTime();
      const { attempt } = endpoint(times(4, 'timeout'));
      const policy = retryPolicy(sturdy, time, answered);
      await expect(policy.run(attempt, jitter, never, noNote)).resolves.toBe('answer');
      expect(time.sleeps).toEqual(waits);
    },
  );

  const ownFaults = ['server-error', 'timeout', 'cut', 'unusable', 'forbidden'] as const;

  test.each(['rate-limited', ...ownFaults] as const)(
    '%s: so often and no more while others are answered, and each retry is told',
    async (kind) => {
      const failing = endpoint(times(50, kind));
      const policy = retryPolicy(settings, instantTime(), () => Promise.reject(new Error('asked')));
      const told: string[] = [];
      const run = policy.run(failing.attempt, 0, never, (error) => {
        told.push(error.kind);
        void policy.run(answered, 0, never, noNote);
      });
      await expect(run).rejects.toThrow(`${kind} 5`);
      expect(failing.calls).toBe(5);
      expect(told).toEqual([kind, kind, kind, kind]);
    },
  );

  test.each(ownFaults)(
    '%s, where no other is answered: the endpoint is asked whether it is there, and the call once more',
    async (kind) => {
      const failing = endpoint(times(50, kind));
      let questions = 0;
      const policy = retryPolicy(sturdy, instantTime(), () => Promise.resolve(questions++));
      await expect(policy.run(failing.attempt, 0, never, noNote)).rejects.toThrow(`${kind} 6`);
      expect(questions).toBe(1);
      expect(policy.down).toBeNull();
    },
  );

  test('rate-limited, where no other is answered: it waits, whatever is said to a small question', async () => {
    const failing = endpoint(times(100, 'rate-limited'));
    const policy = retryPolicy(sturdy, instantTime(), answered);
    const since = new Set<number | undefined>();
    const run = policy.run(failing.attempt, 0, never, () => since.add(policy.down?.sinceMs));
    await expect(run).resolves.toBe('answer');
    expect(failing.calls).toBe(101);
    // Down from the moment on at which it would have been given up, and never up in between.
    expect(since.size).toBe(2);
    expect(policy.down).toBeNull();
  });

  test.each([
    ['is honoured', 700, 700],
    ['is bounded', 3_600_000, 2000],
    ['in the past is no wait', -5, 0],
  ])('what the server asks for %s', async (_name, retryAfterMs, waited) => {
    const time = instantTime();
    const { attempt } = endpoint(['rate-limited'], { retryAfterMs });
    await retryPolicy(sturdy, time, answered).run(attempt, 0, never, noNote);
    expect(time.sleeps).toEqual([waited]);
  });

  test('those that were told the same time do not come back together', async () => {
    const waits = await Promise.all(
      [0.1, 0.5, 0.9].map(async (jitter) => {
        const time = instantTime();
        const { attempt } = endpoint(['rate-limited'], { retryAfterMs: 700 });
        await retryPolicy(sturdy, time, answered).run(attempt, jitter, never, noNote);
        return time.sleeps[0];
      }),
    );
    expect(new Set(waits).size).toBe(3);
    for (const wait of waits) expect(wait).toBeGreaterThanOrEqual(700);
  });
});

test.each(['context', 'rejected'] as const)('a %s request is never repeated', async (kind) => {
  const time = instantTime();
  const failing = endpoint([kind]);
  const policy = retryPolicy(settings, time, answered);
  await expect(policy.run(failing.attempt, 0, never, noNote)).rejects.toMatchObject({ kind });
  expect(failing.calls).toBe(1);
  expect(time.sleeps).toEqual([]);
});

test('an error that is none of the endpoint is not repeated', async () => {
  const attempt = () => Promise.reject(new Error('a bug'));
  const policy = retryPolicy(settings, instantTime(), answered);
  await expect(policy.run(attempt, 0, never, noNote)).rejects.toThrow('a bug');
});

describe('an endpoint that is down', () => {
  /** Runs one call that fails so, while the endpoint says `unwell` to the question so often. */
  async function through(kinds: readonly CallErrorKind[], unwell: readonly CallErrorKind[]) {
    const time = instantTime();
    const failing = endpoint(kinds);
    const question = endpoint(unwell);
    const seen: (string | null)[] = [];
    const policy = retryPolicy(settings, time, () => {
      seen.push(policy.down?.error ?? null);
      return question.attempt();
    });
    const run = policy.run(failing.attempt, 0, never, noNote);
    await run.catch(noNote);
    return { run, failing, question, seen, policy, time };
  }

  test.each(['down', 'denied', 'server-error', 'cut', 'unusable', 'timeout', 'forbidden'] as const)(
    '%s so often in a row: it is asked until it answers, and no call is sent meanwhile',
    async (kind) => {
      const { run, failing, question, seen, policy } = await through(
        times(3, kind),
        times(9, kind),
      );
      await expect(run).resolves.toBe('answer');
      expect(failing.calls).toBe(4);
      expect(question.calls).toBe(10);
      // The reason that is shown is the latest.
      expect(seen.slice(0, 3)).toEqual([`${kind} 3`, `${kind} 1`, `${kind} 2`]);
      expect(policy.down).toBeNull();
    },
  );

  test('refusals for now have a number of their own', async () => {
    const { failing, question } = await through(times(4, 'rate-limited'), ['rate-limited']);
    expect(failing.calls).toBe(5);
    expect(question.calls).toBe(2);
  });

  test.each(['down', 'denied'] as const)('%s is never the fault of a call', async (kind) => {
    const { run, failing } = await through(times(200, kind), []);
    await expect(run).resolves.toBe('answer');
    expect(failing.calls).toBe(201);
  });

  test('leaves a call all its tries for when it is back', async () => {
    const kinds = [...times(3, 'down'), ...times(2, 'timeout'), ...times(3, 'down')];
    const { run } = await through([...kinds, ...times(2, 'timeout')], times(20, 'down'));
    await expect(run).resolves.toBe('answer');
  });

  test('is asked after waits that double up to a bound', async () => {
    const time = instantTime();
    const asked: number[] = [];
    const question = endpoint(times(4, 'down'));
    const policy = retryPolicy({ ...settings, firstDelayMs: 0 }, time, () => {
      asked.push(time.monotonic());
      return question.attempt();
    });
    await policy.run(endpoint(times(3, 'down')).attempt, 0, never, noNote);
    expect(asked.map((at, index) => at - (asked[index - 1] ?? 0))).toEqual([
      1000, 2000, 4000, 4000, 4000,
    ]);
  });

  test('is not asked before the time that it asked for itself, within bounds', async () => {
    const time = instantTime();
    const hasty = { ...settings, downFirstDelayMs: 10, downMaxDelayMs: 20 };
    const policy = retryPolicy(hasty, time, answered);
    const { attempt } = endpoint(times(4, 'rate-limited'), { retryAfterMs: 60_000 });
    await policy.run(attempt, 0, never, noNote);
    expect(time.sleeps.at(-1)).toBe(2000);
  });

  test('a question that is refused for what it asks shows that somebody is there', async () => {
    const { run, question } = await through(times(3, 'down'), ['rejected']);
    await expect(run).resolves.toBe('answer');
    expect(question.calls).toBe(1);
  });

  test('is seen as down since the first time, until it answers', async () => {
    const time = instantTime();
    const { attempt } = endpoint(times(3, 'down'));
    const question = endpoint(times(5, 'timeout'));
    const since: (number | undefined)[] = [];
    const policy = retryPolicy(settings, time, () => {
      since.push(policy.down?.sinceMs);
      return question.attempt();
    });
    await policy.run(attempt, 0, never, () => since.push(policy.down?.sinceMs));
    // Two failures that are not enough yet, the third, and six questions.
    expect(since.map((at) => at !== undefined)).toEqual([
      false,
      false,
      ...Array<true>(7).fill(true),
    ]);
    expect(new Set(since.slice(2)).size).toBe(1);
  });

  test('is asked by one at a time, whoever waits; the others go when it has answered', async () => {
    const time = instantTime();
    let [up, now, most, sent] = [false, 0, 0, 0];
    const policy = retryPolicy(settings, time, async () => {
      most = Math.max(most, ++now);
      await turn();
      now--;
      if (!up) throw new CallError('down', 'nobody there');
    });
    const attempt = () => {
      sent++;
      return up ? Promise.resolve('answer') : Promise.reject(new CallError('down', 'nobody there'));
    };
    const runs = Array.from({ length: 20 }, (_, index) =>
      policy.run(attempt, index / 20, never, noNote),
    );
    while (time.monotonic() < 100_000) await turn();
    expect(policy.down).not.toBeNull();
    expect(most).toBe(1);
    // Those that were under way when it went down, and none since.
    expect(sent).toBe(20);
    up = true;
    expect(await Promise.all(runs)).toEqual(runs.map(() => 'answer'));
    expect(policy.down).toBeNull();
  });

  test('is sent nothing that waited for its turn meanwhile, and that costs no try', async () => {
    const slot = Promise.withResolvers<undefined>();
    const policy = retryPolicy({ ...settings, attempts: 1 }, instantTime(), answered);
    let sent = 0;
    let held = 0;
    const waiting = policy.run(
      async (go) => {
        await slot.promise;
        held++;
        go();
        sent++;
        return 'answer';
      },
      0,
      never,
      noNote,
    );
    const failing = policy.run(endpoint(times(3, 'down')).attempt, 0, never, () => {
      if (policy.down) slot.resolve(undefined);
    });
    expect(await Promise.all([waiting, failing])).toEqual(['answer', 'answer']);
    expect([held, sent]).toEqual([2, 1]);
  });

  test('is up with the first answer to a call that was under way, without any question', async () => {
    const time = manualTime();
    const slow = Promise.withResolvers<string>();
    const policy = retryPolicy(settings, time, () => Promise.reject(new Error('asked')));
    const early = policy.run(() => slow.promise, 0, never, noNote);
    const late = policy.run(endpoint(times(3, 'down')).attempt, 0, never, noNote);
    await time.advance(900);
    expect(policy.down).not.toBeNull();
    slow.resolve('answer');
    await time.advance(0);
    expect(policy.down).toBeNull();
    expect(await Promise.all([early, late])).toEqual(['answer', 'answer']);
    expect(time.asleep).toBe(0);
  });
});

describe('an endpoint that is full', () => {
  const refused = (policy: Policy) =>
    policy
      .run(
        () => Promise.reject(new CallError('rate-limited', 'full')),
        0,
        new AbortController().signal,
        () => {
          throw new Error('told');
        },
      )
      .catch(noNote);
  const taken = (policy: Policy) => policy.run(answered, 0, never, noNote);

  test('but answers as often as it refuses is not down', async () => {
    const policy = retryPolicy(settings, instantTime(), answered);
    for (let round = 0; round < 50; round++) {
      await refused(policy);
      expect(policy.down).toBeNull();
      await taken(policy);
    }
  });

  test('is tried with one call after another, not with all at once, until answers outweigh refusals', async () => {
    const policy = retryPolicy(settings, instantTime(), answered);
    for (let call = 0; call < 4; call++) await refused(policy);
    expect(policy.down).not.toBeNull();
    await taken(policy);
    expect(policy.down).toBeNull();
    // The first refusal after the answer is enough.
    await refused(policy);
    expect(policy.down).not.toBeNull();
    await taken(policy);
    await taken(policy);
    await refused(policy);
    expect(policy.down).toBeNull();
  });

  test('and takes one call in so many loses none of them', async () => {
    const time = instantTime();
    let asked = 0;
    const policy = retryPolicy(settings, time, answered);
    const runs = Array.from({ length: 60 }, (_, index) =>
      policy.run(
        async (go) => {
          await turn();
          go();
          if (++asked % 10 === 0) return 'answer';
          throw new CallError('rate-limited', 'full');
        },
        index / 60,
        never,
        noNote,
      ),
    );
    expect(new Set(await Promise.all(runs))).toEqual(new Set(['answer']));
  });
});

describe('whatever happens to an endpoint', () => {
  const kinds = [
    'rate-limited',
    'server-error',
    'timeout',
    'cut',
    'unusable',
    'forbidden',
  ] as const;
  const phase = fc.record({
    kind: fc.constantFrom(...kinds, 'down' as const, 'denied' as const, null),
    ms: fc.integer({ min: 1, max: 20_000 }),
  });
  const poison = fc.constantFrom(
    'timeout',
    'server-error',
    'forbidden',
    'unusable',
    'cut',
  ) as fc.Arbitrary<CallErrorKind>;

  propertyTest.prop(
    [
      fc.array(phase, { maxLength: 6 }),
      fc.array(fc.option(poison), { minLength: 1, maxLength: 12 }),
    ],
    {
      numRuns: 200,
    },
  )(
    'calls that it would answer are answered, and those that it never would end as their own fault',
    async (phases, faults) => {
      const time = instantTime();
      const trouble = (): CallErrorKind | null => {
        let from = time.monotonic();
        for (const { kind, ms } of phases) {
          if (from < ms) return kind;
          from -= ms;
        }
        return null;
      };
      const send = async (own: CallErrorKind | null) => {
        await turn();
        const kind = trouble() ?? own;
        if (kind !== null) throw new CallError(kind, kind === own ? 'own' : 'not own');
        return 'answer';
      };
      const policy = retryPolicy(settings, time, () => send(null));
      const ended = await Promise.allSettled(
        faults.map((own, index) =>
          policy.run(() => send(own), index / faults.length, never, noNote),
        ),
      );
      for (const [index, own] of faults.entries()) {
        expect(ended[index]?.status).toBe(own === null ? 'fulfilled' : 'rejected');
      }
      expect(policy.down).toBeNull();
    },
  );
});

describe('who gives up', () => {
  test.each(['timeout', 'down'] as const)('leaves the wait after %s at once', async (kind) => {
    const time = manualTime();
    const given = new AbortController();
    const { attempt } = endpoint(times(100, kind));
    const run = retryPolicy(settings, time, answered).run(attempt, 0, given.signal, noNote);
    run.catch(noNote);
    await time.advance(0);
    expect(time.asleep).toBe(1);
    given.abort(new Error('enough'));
    await expect(run).rejects.toThrow('enough');
    expect(time.asleep).toBe(0);
  });

  test('while the endpoint is down, hands the asking to the next', async () => {
    const time = manualTime();
    let questions = 0;
    const policy = retryPolicy(settings, time, () => Promise.resolve(questions++));
    const given = new AbortController();
    const asking = policy.run(endpoint(times(3, 'down')).attempt, 0, given.signal, noNote);
    asking.catch(noNote);
    await time.advance(400);
    expect(policy.down).not.toBeNull();
    const other = policy.run(answered, 0, never, noNote);
    await time.advance(500);
    given.abort(new Error('enough'));
    await expect(asking).rejects.toThrow('enough');
    await time.advance(1000);
    await other;
    expect(questions).toBe(1);
    expect(time.asleep).toBe(0);
  });
});
