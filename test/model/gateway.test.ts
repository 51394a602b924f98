import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { GivenUp } from '../../infra/errors.ts';
import { createMemoryJournal } from '../../infra/journal/memory.ts';
import type { Journal } from '../../infra/journal/journal.ts';
import { CallError, type Call, type CallAnswer } from '../../infra/model/endpoint.ts';
import { createGateway, type Lane, type RoleLanes } from '../../infra/model/gateway.ts';
import { drawsOf } from '../../infra/model/draw.ts';
import { createLedger } from '../../infra/model/ledger.ts';
import { retryPolicy } from '../../infra/model/policy.ts';
import { AdaptiveLimiter } from '../../infra/model/limiter.ts';
import { CallQueue } from '../../infra/model/queue.ts';
import { Cancelled, PermanentError, type ModelRequest } from '../../processors/processor.ts';
import { StorageError } from '../../infra/sqlite.ts';
import type { Time } from '../../infra/time.ts';
import { instantTime } from '../support/time.ts';
import { never } from './support.ts';

const request: ModelRequest = {
  role: 'judge',
  messages: [{ role: 'user', content: 'Is it good?' }],
  sampling: { temperature: 0.7, top_p: 1, max_tokens: 64, stop: [] },
  draws: { path: '0', round: 0, attempt: 0, count: 3 },
};
const draws = (change: Partial<ModelRequest['draws']>): ModelRequest => ({
  ...request,
  draws: { ...request.draws, ...change },
});
const versions = { actor: 'a@1', judge: 'j@1', refiner: 'r@1' };

/** Says which call and which choice it was; 10 tokens for a prompt, 5 for a choice. */
const plain = (call: Call, number: number): CallAnswer => ({
  choices: Array.from({ length: call.n }, (_, index) => ({
    content: `call ${number} choice ${index}`,
    reasoning: null,
    finish_reason: 'stop',
  })),
  usage: { prompt_tokens: 10, completion_tokens: 5 * call.n },
});

type Answer = (call: Call, number: number, signal: AbortSignal) => CallAnswer | Promise<CallAnswer>;

/** A gateway over one scripted endpoint, and all that one may look at. */
function setup({
  answer = plain,
  journal = createMemoryJournal(),
  lane: change = {},
  role: roleChange = {},
  maxInFlight = 100,
  replicas = 1,
  price = null,
  ready = () => Promise.resolve(),
  question = () => Promise.resolve(),
  elsewhere,
  cutOff,
  time = instantTime(),
}: {
  readonly answer?: Answer;
  readonly journal?: Journal;
  readonly lane?: Partial<Lane>;
  readonly role?: Partial<RoleLanes>;
  readonly maxInFlight?: number;
  readonly replicas?: number;
  readonly price?: RoleLanes['price'];
  readonly ready?: () => Promise<void>;
  /** What the breaker hears when it asks whether the endpoint is there. */
  readonly question?: () => Promise<void>;
  readonly elsewhere?: (draw: string) => Promise<void> | null;
  readonly cutOff?: (iteration: string) => AbortSignal | null;
  readonly time?: Time;
} = {}) {
  const calls: Call[] = [];
  const asked = new Map<string, Call[]>();
  const retries = {
    attempts: 3,
    firstDelayMs: 1,
    maxDelayMs: 1,
    maxRetryAfterMs: 1,
    downAfter: 100,
    busyAfter: 100,
    downFirstDelayMs: 1,
    downMaxDelayMs: 1,
  };
  const lanes = Array.from({ length: replicas }, (_, index): Lane => ({
    endpoint: {
      name: `replica ${index}`,
      models: () => Promise.resolve(null),
      send: async (call, signal) => {
        calls.push(call);
        asked.set(`replica ${index}`, [...(asked.get(`replica ${index}`) ?? []), call]);
        return answer(call, calls.length, signal);
      },
    },
    queue: new CallQueue(new AdaptiveLimiter({ most: maxInFlight, first: maxInFlight })),
    policy: retryPolicy(retries, time, question),
    choicesMax: Infinity,
    usageCoversAll: true,
    ...change,
  })) as [Lane, ...Lane[]];
  const role = { lanes, version: 'm', price, deadlineMs: 5_000, choicesMax: 128, ...roleChange };
  const ledger = createLedger(journal);
  const gateway = createGateway(
    { actor: role, judge: role, refiner: role },
    journal,
    ledger,
    time,
    ready,
    elsewhere,
    cutOff,
  );
  const modelFor = (instruction: string) =>
    gateway.model(
      { pipeline: 'spar', iteration: '1', seed: 0, instruction, stage: 'judge' },
      versions,
      { rank: 1, order: 0 },
    );
  return { calls, asked, journal, ledger, lanes, gateway, modelFor, model: modelFor('i1') };
}

const textsOf = ({ choices }: { readonly choices: readonly { readonly text: string }[] }) =>
  choices.map(({ text }) => text);

describe('what has been paid for', () => {
  test('is not asked for again, by this process or the next', async () => {
    const { model, calls, journal } = setup();
    const first = await model.ask(request, never);
    expect(textsOf(first)).toEqual(['call 1 choice 0', 'call 1 choice 1', 'call 1 choice 2']);
    expect(await model.ask(request, never)).toEqual(first);
    expect(calls).toHaveLength(1);
    const next = setup({ journal, answer: () => Promise.reject(new Error('it was asked')) });
    expect(await next.model.ask(request, never)).toEqual(first);
  });

  test('is left out where more draws of the same are wanted', async () => {
    const { model, calls } = setup();
    await model.ask(draws({ count: 2 }), never);
    const more = await model.ask(draws({ count: 5 }), never);
    expect(calls.map(({ n }) => n)).toEqual([2, 3]);
    expect(textsOf(more)).toEqual([
      'call 1 choice 0',
      'call 1 choice 1',
      'call 2 choice 0',
      'call 2 choice 1',
      'call 2 choice 2',
    ]);
    expect(more.spend).toMatchObject({ calls: 2, generations: 5, completion_tokens: 25 });
  });

  test('needs no endpoint: nobody is even contacted', async () => {
    const { model, journal } = setup();
    await model.ask(request, never);
    const ready = () => Promise.reject(new Error('the endpoint is gone'));
    const next = setup({ journal, ready });
    await expect(next.model.ask(request, never)).resolves.toBeDefined();
    await expect(next.model.ask(draws({ round: 1 }), never)).rejects.toThrow('gone');
    expect(next.calls).toEqual([]);
  });

  test('meanwhile, by another who waited for the same endpoint, is not asked for again', async () => {
    const waiting: (() => void)[] = [];
    const { model, calls } = setup({
      ready: () => new Promise<void>((resolve) => waiting.push(resolve)),
    });
    const one = model.ask(request, never);
    const other = model.ask(request, never);
    waiting[0]?.();
    await one;
    waiting[1]?.();
    expect(await other).toEqual(await one);
    expect(calls).toHaveLength(1);
  });

  test.each([
    ['a vote held again', { round: 1 }],
    ['a further attempt', { attempt: 1 }],
    ['another node', { path: '0/r.1' }],
  ])('%s is another draw, with another seed', async (_name, change) => {
    const { model, calls } = setup();
    await model.ask(request, never);
    await model.ask(draws(change), never);
    expect(calls).toHaveLength(2);
    expect(calls[0]?.seed).not.toBe(calls[1]?.seed);
  });
});

describe('what is being asked for', () => {
  test('is joined, also in part', async () => {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const { model, calls } = setup({
      answer: async (call, number) => {
        await promise;
        return plain(call, number);
      },
    });
    const asks = [
      model.ask(draws({ count: 2 }), never),
      model.ask(draws({ count: 2 }), never),
      model.ask(draws({ count: 3 }), never),
    ];
    resolve(undefined);
    const [two = [], same, three] = (await Promise.all(asks)).map(textsOf);
    expect(same).toEqual(two);
    expect(three).toEqual([...two, 'call 2 choice 0']);
    expect(calls.map(({ n }) => n)).toEqual([2, 1]);
  });

  test('fails for all who joined, and can be asked for again', async () => {
    let broken = true;
    const { model } = setup({
      answer: (call, number) => {
        if (broken) throw new CallError('rejected', 'no');
        return plain(call, number);
      },
    });
    const ended = await Promise.allSettled([model.ask(request, never), model.ask(request, never)]);
    expect(ended.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    broken = false;
    await expect(model.ask(request, never)).resolves.toBeDefined();
  });
});

/** Two places, taken by a call that the test ends. */
function busy() {
  const first = Promise.withResolvers<undefined>();
  const made = setup({
    maxInFlight: 2,
    answer: async (call, number) => {
      if (number === 1) await first.promise;
      return plain(call, number);
    },
  });
  const ask = (change: Partial<ModelRequest['draws']>, signal: AbortSignal) =>
    made.model.ask(draws({ count: 2, ...change }), signal);
  return { ...made, ask, end: () => first.resolve(undefined) };
}

describe('what is given up by one who asked', () => {
  const givenUp = new GivenUp('the partition is given up');

  test('before it was sent is asked for by whoever had joined it', async () => {
    const { ask, calls, end } = busy();
    const one = ask({}, never);
    const given = new AbortController();
    const gone = ask({ round: 1 }, given.signal);
    const joined = ask({ round: 1 }, never);
    given.abort(givenUp);
    await expect(gone).rejects.toBe(givenUp);
    end();
    expect(textsOf(await joined)).toEqual(['call 2 choice 0', 'call 2 choice 1']);
    await one;
    expect(calls).toHaveLength(2);
  });

  test('after it was sent goes on, and is named until it has ended', async () => {
    const { ask, calls, end, gateway } = busy();
    const ended: string[] = [];
    gateway.onEnded((those) => ended.push(...those));
    const given = new AbortController();
    const gone = ask({}, given.signal);
    await expect.poll(() => calls.length).toBe(1);
    expect(gateway.underWay()).toEqual([]);
    given.abort(givenUp);
    await expect(gone).rejects.toBe(givenUp);
    const named = gateway.underWay();
    expect(named).toHaveLength(2);
    const joined = ask({}, never);
    expect(gateway.underWay()).toEqual([]);
    end();
    expect(textsOf(await joined)).toEqual(['call 1 choice 0', 'call 1 choice 1']);
    expect(ended).toEqual(named);
    expect(gateway.underWay()).toEqual([]);
    expect(calls).toHaveLength(1);
  });
});

test('what cannot be kept is heard of, also after a budget has cut everything off', async () => {
  const cut = new AbortController();
  const full = new StorageError('full', 'the disk is full');
  const put = () => {
    cut.abort(new Error('the budget is used up'));
    return Promise.reject(full);
  };
  const { model } = setup({ journal: { ...createMemoryJournal(), put }, cutOff: () => cut.signal });
  await expect(model.ask(request, never)).rejects.toBe(full);
});

describe('what is cancelled by one who asked', () => {
  const cancelled = new Cancelled('a sibling was accepted');

  test('before it was sent leaves its place in the queue, and is counted', async () => {
    const { ask, calls, end, lanes, ledger } = busy();
    const one = ask({}, never);
    const wanted = new AbortController();
    const gone = ask({ round: 1 }, wanted.signal);
    await expect.poll(() => lanes[0].queue.waiting).toBe(1);
    wanted.abort(cancelled);
    await expect(gone).rejects.toBe(cancelled);
    expect(lanes[0].queue.waiting).toBe(0);
    end();
    await one;
    expect(calls).toHaveLength(1);
    expect(ledger.thisRun).toMatchObject({ 'cancelled.judge': 1, 'calls.judge': 1 });
    expect(getEventListeners(wanted.signal, 'abort')).toEqual([]);
  });

  test('after it was sent is broken off, gives its places back, and leaves nothing', async () => {
    const signals: AbortSignal[] = [];
    const { model, gateway, lanes, ledger } = setup({
      answer: (_call, _number, signal) => {
        signals.push(signal);
        return new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        });
      },
    });
    const wanted = new AbortController();
    const gone = model.ask(request, wanted.signal);
    await expect.poll(() => signals.length).toBe(1);
    wanted.abort(cancelled);
    await expect(gone).rejects.toBe(cancelled);
    expect(signals[0]?.aborted).toBe(true);
    await expect.poll(() => lanes[0].queue.held).toBe(0);
    expect(gateway.underWay()).toEqual([]);
    expect(ledger.inFlight).toEqual({ probe: 0, sample: 0, judge: 0, refine: 0 });
    expect(ledger.thisRun).toEqual({ 'cancelled.judge': 1 });
    expect(lanes[0].policy.down).toBeNull();
    expect(getEventListeners(wanted.signal, 'abort')).toEqual([]);
  });

  test('is asked for again by whoever had joined it', async () => {
    const { model, calls } = setup({
      answer: async (call, number, signal) => {
        if (number > 1) return plain(call, number);
        const { promise, reject } = Promise.withResolvers<CallAnswer>();
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
        return promise;
      },
    });
    const wanted = new AbortController();
    const gone = model.ask(request, wanted.signal);
    await expect.poll(() => calls.length).toBe(1);
    const joined = model.ask(request, never);
    wanted.abort(cancelled);
    await expect(gone).rejects.toBe(cancelled);
    expect(textsOf(await joined)).toEqual([
      'call 2 choice 0',
      'call 2 choice 1',
      'call 2 choice 2',
    ]);
  });

  test('in the moment between its turn and the request is not sent', async () => {
    const wanted = new AbortController();
    const { model, calls, lanes } = setup({
      elsewhere: () => {
        // Asked twice: before it queues, and when it has its turn.
        queueMicrotask(() => {
          if (lanes[0].queue.held > 0) wanted.abort(cancelled);
        });
        return null;
      },
    });
    await expect(model.ask(request, wanted.signal)).rejects.toBe(cancelled);
    expect(calls).toEqual([]);
    expect(lanes[0].queue.held).toBe(0);
  });
});

describe('what a sibling', () => {
  /** One place, taken by a call that the test ends; the journal is a sibling's, too. */
  function busy(elsewhere: (draw: string) => Promise<void> | null) {
    const first = Promise.withResolvers<undefined>();
    const made = setup({
      maxInFlight: 3,
      elsewhere,
      answer: async (call, number) => {
        if (number === 1) await first.promise;
        return plain(call, number);
      },
    });
    return { ...made, end: () => first.resolve(undefined) };
  }

  test('was answered while a call waited for its turn is not asked for', async () => {
    const { model, calls, journal, end } = busy(() => null);
    const one = model.ask(request, never);
    const queued = model.ask(draws({ round: 1 }), never);
    await expect.poll(() => calls.length).toBe(1);
    const theirs = setup({ journal, answer: (call) => plain(call, 7) });
    await theirs.model.ask(draws({ round: 1 }), never);
    end();
    await one;
    expect(textsOf(await queued)[0]).toBe('call 7 choice 0');
    expect(calls).toHaveLength(1);
  });

  test('is found to be asking for when a call has its turn is waited for, without a place', async () => {
    const theirs = Promise.withResolvers<undefined>();
    const origin = { pipeline: 'spar', iteration: '1', seed: 0, instruction: 'i1', stage: 'judge' };
    const { ids } = drawsOf({ ...origin, modelVersion: versions.judge }, draws({ round: 1 }));
    let asking = false;
    const { model, calls, end } = busy((draw) =>
      asking && ids.includes(draw) ? theirs.promise : null,
    );
    const one = model.ask(request, never);
    const queued = model.ask(draws({ round: 1 }), never);
    const behind = model.ask(draws({ round: 2 }), never);
    await expect.poll(() => calls.length).toBe(1);
    asking = true;
    end();
    await one;
    await behind;
    expect(calls).toHaveLength(2);
    asking = false;
    theirs.resolve(undefined);
    await queued;
    expect(calls).toHaveLength(3);
  });
});

test('after a standstill calls wait until all that was due has been heard, and some are not sent at all', async () => {
  let now = 0;
  const time = { ...instantTime(), monotonic: () => now };
  const first = Promise.withResolvers<undefined>();
  const { model, calls } = setup({
    time,
    maxInFlight: 3,
    elsewhere: () => null,
    answer: async (call, number) => {
      if (number === 1) await first.promise;
      return plain(call, number);
    },
  });
  const one = model.ask(request, never);
  await expect.poll(() => calls.length).toBe(1);
  const lost = new AbortController();
  const queued = [1, 2].map((round) => model.ask(draws({ round }), lost.signal));
  const said = Promise.allSettled(queued);
  // The process stops; when it goes on, an answer is there before the timer that takes the work away.
  now += 30_000;
  first.resolve(undefined);
  setImmediate(() => lost.abort(new GivenUp('somebody else has it')));
  await one;
  expect((await said).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(calls).toHaveLength(1);
  await model.ask(draws({ round: 3 }), never);
  expect(calls).toHaveLength(2);
});

describe('nothing is used before it is journaled', () => {
  /** A journal whose disk fails, or is slow. */
  const over = (put: Journal['put']): Journal => ({ ...createMemoryJournal(), put });

  test('an answer that could not be kept was never given', async () => {
    const { model } = setup({ journal: over(() => Promise.reject(new Error('disk full'))) });
    await expect(model.ask(request, never)).rejects.toThrow('disk full');
  });

  test('an answer waits for the disk', async () => {
    const disk = Promise.withResolvers<undefined>();
    const { model } = setup({ journal: over(() => disk.promise) });
    let used = false;
    const asked = model.ask(request, never).then(() => (used = true));
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(used).toBe(false);
    disk.resolve(undefined);
    await asked;
  });

  test('all choices of an answer are kept in one piece', async () => {
    const kept: number[] = [];
    const { model } = setup({
      journal: over((_iteration, entries) => {
        kept.push(entries.length);
        return Promise.resolve();
      }),
    });
    await model.ask(request, never);
    expect(kept).toEqual([3]);
  });
});

describe('an endpoint without n', () => {
  test('is asked for one choice at a time, for the very same draws', async () => {
    const { model, calls, journal } = setup({ lane: { choicesMax: 1 } });
    const { choices, spend } = await model.ask(request, never);
    expect(calls.map(({ n }) => n)).toEqual([1, 1, 1]);
    expect(new Set(calls.map(({ seed }) => seed)).size).toBe(3);
    expect(choices.map(({ text }) => text)).toEqual([
      'call 1 choice 0',
      'call 2 choice 0',
      'call 3 choice 0',
    ]);
    expect(spend).toMatchObject({ calls: 3, generations: 3, prompt_tokens: 30 });
    const together = setup({ journal });
    expect(textsOf(await together.model.ask(request, never))).toEqual(textsOf({ choices }));
    expect(together.calls).toEqual([]);
  });

  test("asks for no more choices at once than the role's settings say, and gives each call the role's time", async () => {
    const { model, calls } = setup({ role: { choicesMax: 2, deadlineMs: 77 } });
    await model.ask(request, never);
    expect(calls.map(({ n, deadlineMs }) => [n, deadlineMs])).toEqual([
      [2, 77],
      [1, 77],
    ]);
  });

  test('choices stay in order whichever comes first', async () => {
    const { model } = setup({
      lane: { choicesMax: 2 },
      answer: async (call, number) => {
        for (let turn = 0; turn < 5 - number; turn++) {
          await new Promise((resolve) => setImmediate(resolve));
        }
        return plain(call, number);
      },
    });
    expect(textsOf(await model.ask(draws({ count: 5 }), never))).toEqual([
      'call 1 choice 0',
      'call 1 choice 1',
      'call 2 choice 0',
      'call 2 choice 1',
      'call 3 choice 0',
    ]);
  });

  test('never has more in flight than its places', async () => {
    let [now, most] = [0, 0];
    const { model, modelFor, lanes } = setup({
      maxInFlight: 4,
      answer: async (call, number) => {
        now += call.n;
        most = Math.max(most, now);
        await new Promise((resolve) => setImmediate(resolve));
        now -= call.n;
        return plain(call, number);
      },
    });
    const others = Array.from({ length: 10 }, (_, index) => modelFor(`other ${index}`));
    await Promise.all([model, ...others].map((one) => one.ask(draws({ count: 2 }), never)));
    expect(most).toBe(4);
    expect(lanes[0].queue.held).toBe(0);
  });
});

describe('thoughts', () => {
  test('are kept apart from the answer, whether the server does it or not', async () => {
    const contents = ['<think>hm</think>yes', 'no', 'cut</think> perhaps'];
    const { model } = setup({
      answer: () => ({
        choices: contents.map((content, index) => ({
          content,
          reasoning: index === 1 ? 'apart' : null,
          finish_reason: 'stop',
        })),
        usage: null,
      }),
    });
    const { choices } = await model.ask(request, never);
    expect(choices).toEqual([
      { text: 'yes', reasoning: 'hm', finish_reason: 'stop' },
      { text: 'no', reasoning: 'apart', finish_reason: 'stop' },
      { text: ' perhaps', reasoning: 'cut', finish_reason: 'stop' },
    ]);
  });
});

describe('what it cost', () => {
  const text = (length: number): CallAnswer['choices'][number] => ({
    content: 'x'.repeat(length),
    reasoning: null,
    finish_reason: 'stop',
  });
  // The prompt is 11 characters: 3 tokens at four each.
  test.each<[string, CallAnswer['usage'], boolean, object]>([
    [
      'as the server counts it',
      { prompt_tokens: 100, completion_tokens: 50 },
      true,
      { prompt_tokens: 100, completion_tokens: 50, tokens_estimated: false, cost: 0.0002 },
    ],
    [
      'of a server that counts one choice: the others are estimated and marked',
      { prompt_tokens: 100, completion_tokens: 10 },
      false,
      { prompt_tokens: 100, completion_tokens: 30, tokens_estimated: true, cost: 0.00016 },
    ],
    [
      'of a server that counts nothing: estimated and marked',
      null,
      true,
      { prompt_tokens: 3, completion_tokens: 30, tokens_estimated: true, cost: 0.000063 },
    ],
  ])('%s', async (_name, usage, usageCoversAll, spend) => {
    const { model, ledger } = setup({
      lane: { usageCoversAll },
      price: { prompt: 1, completion: 2 },
      answer: () => ({ choices: [text(40), text(40), text(40)], usage }),
    });
    const answer = await model.ask(request, never);
    expect(answer.spend).toMatchObject({ calls: 1, generations: 3, ...spend });
    expect(ledger.thisRun['cost']).toBeCloseTo(answer.spend.cost ?? -1, 12);
    expect(ledger.thisRun['tokens.estimated'] ?? 0).toBe(answer.spend.tokens_estimated ? 1 : 0);
  });

  test('without a price nothing is claimed', async () => {
    const { model, ledger } = setup();
    expect((await model.ask(request, never)).spend.cost).toBeNull();
    expect(ledger.thisRun).not.toHaveProperty('cost');
  });

  test('the ledger counts calls, generations and tokens by purpose, and outlives the process', async () => {
    const { model, ledger, journal } = setup();
    await model.ask(request, never);
    await model.ask({ ...request, role: 'actor' }, never);
    await model.ask({ ...request, role: 'refiner', draws: { ...request.draws, count: 1 } }, never);
    const counted = {
      'calls.judge': 1,
      'generations.judge': 3,
      'calls.sample': 1,
      'generations.sample': 3,
      'calls.refine': 1,
      'generations.refine': 1,
      'tokens.prompt': 30,
      'tokens.completion': 35,
      'tokens.judge.prompt': 10,
      'tokens.judge.completion': 15,
      'tokens.sample.prompt': 10,
      'tokens.sample.completion': 15,
      'tokens.refine.prompt': 10,
      'tokens.refine.completion': 5,
    };
    expect(ledger.thisRun).toEqual(counted);
    expect(createLedger(journal).total('1')).toEqual(counted);
    expect(createLedger(journal).thisRun).toEqual({});
    expect(ledger.inFlight).toEqual({ probe: 0, sample: 0, judge: 0, refine: 0 });
  });

  test.each([
    ['rate-limited', 429, 'retries.429'],
    ['server-error', 500, 'retries.5xx'],
    ['timeout', null, 'retries.timeout'],
    ['cut', null, 'retries.cut'],
    ['unusable', null, 'retries.unusable'],
    ['denied', 401, 'retries.down.401'],
    ['forbidden', 403, 'retries.refused.403'],
    ['down', null, 'retries.down'],
  ] as const)('a %s answer is a retry of its own kind', async (kind, status, counter) => {
    let failures = 2;
    const { model, ledger } = setup({
      answer: (call, number) => {
        if (failures-- > 0) throw new CallError(kind, 'not now', { status });
        return plain(call, number);
      },
    });
    await model.ask(request, never);
    expect(ledger.thisRun[counter]).toBe(2);
    expect(ledger.thisRun['calls.judge']).toBe(1);
  });

  test('an answer that could not be used was paid for all the same', async () => {
    let failures = 1;
    const usage = { prompt_tokens: 7, completion_tokens: 9 };
    const { model, ledger } = setup({
      answer: (call, number) => {
        if (failures-- > 0) throw new CallError('unusable', 'garbage', { usage });
        return plain(call, number);
      },
    });
    await model.ask(request, never);
    expect(ledger.thisRun).toMatchObject({ 'tokens.prompt': 17, 'tokens.completion': 24 });
  });

  test('and so was the last one of a call that is given up', async () => {
    const usage = { prompt_tokens: 7, completion_tokens: 9 };
    let bad: number | null = null;
    const { model, ledger } = setup({
      answer: (call, number) => {
        bad ??= call.seed;
        if (call.seed === bad) throw new CallError('unusable', 'garbage', { usage });
        return plain(call, number);
      },
    });
    const given = model.ask(request, never);
    // Others are answered, so that it is not the endpoint's fault.
    const other = model.ask(draws({ round: 1 }), never);
    await expect(given).rejects.toThrow('garbage');
    await other;
    expect(ledger.thisRun).toMatchObject({ 'retries.unusable': 2, 'tokens.prompt': 31 });
  });

  test('an attempt after an unusable answer counts as a retry, once', async () => {
    const { model, ledger } = setup();
    await model.ask(draws({ attempt: 1 }), never);
    await model.ask(draws({ attempt: 1 }), never);
    expect(ledger.thisRun['retries.unusable']).toBe(1);
  });
});

describe('what will never succeed', () => {
  test.each([
    ['context', 'context'],
    ['rejected', 'refused'],
  ] as const)('%s ends the record as %s, and says who was asked', async (kind, code) => {
    const { model, calls } = setup({
      answer: () => {
        throw new CallError(kind, 'the server says no');
      },
    });
    const failure: unknown = await model.ask(request, never).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PermanentError);
    expect(failure).toMatchObject({ code, message: 'the server says no (asking the judge)' });
    expect(calls).toHaveLength(1);
  });

  test('any other failure may pass: the record is tried again later', async () => {
    const { model, calls } = setup({
      answer: () => {
        throw new CallError('timeout', 'slow');
      },
    });
    const failure: unknown = await model.ask(request, never).catch((error: unknown) => error);
    expect(failure).not.toBeInstanceOf(PermanentError);
    // Three tries, and another since nobody else was answered meanwhile.
    expect(calls).toHaveLength(4);
  });

  test('a request that the endpoint forbids, while it answers others, ends with its own words', async () => {
    const { model, calls } = setup({
      answer: () => {
        throw new CallError('forbidden', 'it refused the key or what is asked (403: no poems)', {
          status: 403,
          said: 'no poems',
        });
      },
    });
    const failure: unknown = await model.ask(request, never).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(PermanentError);
    expect(failure).toMatchObject({
      code: 'refused',
      message:
        'replica 0 refuses this request and answers others (403: no poems) (asking the judge)',
    });
    expect(calls).toHaveLength(4);
  });

  test('nothing is given up while the endpoint does not even answer a small question', async () => {
    let hours = 0;
    const { model } = setup({
      answer: (call, number) => {
        if (hours < 100) throw new CallError('forbidden', 'everything is forbidden');
        return plain(call, number);
      },
      question: () =>
        ++hours < 100
          ? Promise.reject(new CallError('forbidden', 'everything is forbidden'))
          : Promise.resolve(),
    });
    await expect(model.ask(request, never)).resolves.toBeDefined();
  });
});

describe('the limit', () => {
  test.each([
    ['429', 'rate-limited', 429, 50],
    ['503', 'server-error', 503, 50],
    ['500', 'server-error', 500, 100],
    ['a timeout', 'timeout', null, 100],
  ] as const)('after %s is what the server can take', async (_name, kind, status, limit) => {
    let failures = 1;
    const { model, lanes } = setup({
      answer: (call, number) => {
        if (failures-- > 0) throw new CallError(kind, 'no', { status });
        return plain(call, number);
      },
    });
    await model.ask(request, never);
    expect(lanes[0].queue.limit).toBe(limit);
  });
});

test('who gives up hears the own reason, and gives the places back', async () => {
  const { model, lanes } = setup({
    answer: (_call, _number, signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      }),
  });
  const given = new AbortController();
  const asked = model.ask(request, given.signal);
  asked.catch(() => undefined);
  await new Promise((resolve) => setImmediate(resolve));
  expect(lanes[0].queue.held).toBe(3);
  given.abort(new Error('enough'));
  await expect(asked).rejects.toThrow('enough');
  expect(lanes[0].queue.held).toBe(0);
});

test('all about one instruction goes to the same replica, and others to others', async () => {
  const { modelFor, asked } = setup({ replicas: 3 });
  const instructions = Array.from({ length: 30 }, (_, index) => `i${index}`);
  for (const instruction of instructions) {
    const before = new Map([...asked].map(([name, calls]) => [name, calls.length]));
    await modelFor(instruction).ask(request, never);
    await modelFor(instruction).ask(draws({ round: 1 }), never);
    const grown = [...asked].filter(([name, calls]) => calls.length > (before.get(name) ?? 0));
    expect(grown).toHaveLength(1);
  }
  expect(asked.size).toBe(3);
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('a replica', () => {
  /** Calls that end when the test says so. */
  const held = () => {
    const open = Promise.withResolvers<undefined>();
    const answer: Answer = async (call, number) => {
      await open.promise;
      return plain(call, number);
    };
    return { answer, end: () => open.resolve(undefined) };
  };
  const instructions = Array.from({ length: 40 }, (_, index) => `i${index}`);

  test('that has more to do than a quarter over its part hands on to the next ones', async () => {
    const { answer, end } = held();
    const { modelFor, lanes } = setup({ replicas: 4, maxInFlight: 12, answer });
    const model = modelFor('the same');
    const asked = Array.from({ length: 40 }, (_, round) => model.ask(draws({ round }), never));
    await turn();
    expect(lanes.map(({ queue }) => queue.held)).toEqual([12, 12, 12, 12]);
    // 30 is the part of each.
    for (const { queue } of lanes) expect(queue.held + 3 * queue.waiting).toBeLessThanOrEqual(38);
    end();
    await Promise.all(asked);
  });

  test('that answers slowly is asked less, and what goes elsewhere goes to the same one each time', async () => {
    const { answer, end } = held();
    const { modelFor, lanes, asked } = setup({
      replicas: 3,
      maxInFlight: 6,
      // The first one has not answered yet what it was asked.
      answer: (call, number, signal) =>
        asked.get('replica 0')?.at(-1) === call
          ? answer(call, number, signal)
          : plain(call, number),
    });
    const all: Promise<unknown>[] = [];
    const placesOf = () =>
      ['replica 0', 'replica 1', 'replica 2'].map((name) => asked.get(name)?.length ?? 0);
    for (const instruction of instructions) {
      const before = placesOf();
      all.push(modelFor(instruction).ask(draws({ round: 0 }), never));
      await turn();
      await turn();
      all.push(modelFor(instruction).ask(draws({ round: 1 }), never));
      await turn();
      await turn();
      const grown = placesOf().map((count, index) => count - (before[index] ?? 0));
      if (lanes[0].queue.held === 6 && grown[0] === 0) expect(grown).toContain(2);
    }
    expect(asked.get('replica 0')).toHaveLength(2);
    expect(lanes[0].queue.waiting).toBe(0);
    end();
    await Promise.all(all);
  });

  test('that is down gets none, unless all are', async () => {
    const { modelFor, lanes, asked } = setup({ replicas: 2 });
    const down = { error: 'away', sinceMs: 0 };
    Object.defineProperty(lanes[0].policy, 'down', { value: down });
    for (const instruction of instructions) await modelFor(instruction).ask(request, never);
    expect([...asked.keys()]).toEqual(['replica 1']);
  });
});

test('where each choice is a call of its own, those of one ask go one after the other', async () => {
  const asked: string[] = [];
  let failures = 1;
  const { model } = setup({
    maxInFlight: 1,
    lane: { choicesMax: 1 },
    answer: async (call, number) => {
      const text = call.messages[0]?.content ?? '';
      asked.push(text);
      for (let turns = 0; turns < 5; turns++) await turn();
      // One that is asked again does not go behind the others.
      if (text === 'a' && failures-- > 0) throw new CallError('server-error', 'no');
      return plain(call, number);
    },
  });
  await Promise.all(
    ['a', 'b', 'c'].map((content) =>
      model.ask({ ...request, messages: [{ role: 'user', content }] }, never),
    ),
  );
  expect(asked.join('')).toBe('aaaabbbccc');
});
