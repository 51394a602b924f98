import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { CallQueue } from '../../infra/model/queue.ts';

/** A queue with so many places. */
const queueOf = (limit: number) =>
  new CallQueue({
    limit,
    most: limit,
    answered: () => undefined,
    refused: () => undefined,
    observed: () => undefined,
  });

const never = new AbortController().signal;

/** Asks for a place and notes when it was given. */
function asker(queue: CallQueue) {
  const started: string[] = [];
  const releases = new Map<string, () => void>();
  return {
    started,
    ask: (name: string, rank: number, order: number, places = 1, signal = never, ask = 0) =>
      queue.acquire({ rank, order, ask }, places, signal).then((release) => {
        started.push(name);
        releases.set(name, release);
      }),
    end: async (name: string) => {
      releases.get(name)?.();
      await Promise.resolve();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe('the order of calls', () => {
  // Each call by its rank, its order and its ask; they ask from left to right.
  test.each([
    ['later stages go first', ['4.1.0', '3.2.1', '1.7.2'], ['1.7.2', '3.2.1', '4.1.0']],
    ['within a stage, who was admitted first', ['1.7.0', '1.3.1'], ['1.3.1', '1.7.0']],
    [
      'a later stage of a late instruction goes before an earlier stage of an early one',
      ['2.0.0', '1.9.1'],
      ['1.9.1', '2.0.0'],
    ],
    [
      'calls of one ask stay together, even one that asks again',
      ['1.5.0 a', '1.5.1 a', '1.5.1 b', '1.5.0 b'],
      ['1.5.0 a', '1.5.0 b', '1.5.1 a', '1.5.1 b'],
    ],
    [
      'calls of one ask go in the order in which they came',
      ['1.5.0 c', '1.5.0 a', '1.5.0 b'],
      ['1.5.0 c', '1.5.0 a', '1.5.0 b'],
    ],
  ] as const)('%s', async (_name, asked, expected) => {
    const queue = queueOf(1);
    const { ask, end, started } = asker(queue);
    await ask('running', 9, 0);
    for (const name of asked) {
      const [rank = 0, order = 0, number = 0] = name.split(/[. ]/).map(Number);
      void ask(name, rank, order, 1, never, number);
    }
    for (const name of ['running', ...expected]) await end(name);
    expect(started).toEqual(['running', ...expected]);
  });

  test('a call with n choices holds n places', async () => {
    const queue = queueOf(6);
    const { ask, end, started } = asker(queue);
    await ask('five', 1, 0, 5);
    void ask('two', 1, 1, 2);
    void ask('one', 1, 2, 1);
    await end('nobody');
    // `one` would fit, but letting it past would starve the wider call.
    expect(started).toEqual(['five']);
    expect(queue.held).toBe(5);
    await end('five');
    expect(started).toEqual(['five', 'two', 'one']);
  });

  test('a call wider than the limit has its turn alone', async () => {
    const queue = queueOf(3);
    const { ask, end, started } = asker(queue);
    await ask('one', 1, 0);
    void ask('wide', 1, 1, 50);
    await end('one');
    expect(started).toEqual(['one', 'wide']);
    expect(queue.held).toBe(3);
  });

  test('who gives up leaves the queue', async () => {
    const queue = queueOf(1);
    const { ask, end, started } = asker(queue);
    await ask('running', 1, 0);
    const given = new AbortController();
    const asked = ask('impatient', 1, 1, 1, given.signal);
    void ask('next', 1, 2);
    given.abort(new Error('enough'));
    await expect(asked).rejects.toThrow('enough');
    await end('running');
    expect(started).toEqual(['running', 'next']);
    expect(queue.waiting).toBe(0);
  });

  test('a closed queue starts nothing more', async () => {
    const queue = queueOf(1);
    const { ask, end, started } = asker(queue);
    await ask('running', 1, 0);
    void ask('waiting', 1, 1);
    queue.close();
    await end('running');
    expect(started).toEqual(['running']);
  });
});

describe('the limiter', () => {
  test('hears whether calls wait, and what the others hold; what it then allows starts at once', async () => {
    const heard: object[] = [];
    const limiter = {
      limit: 3,
      most: 10,
      answered: (answer: object) => {
        heard.push(answer);
        limiter.limit = 5;
      },
      refused: (refusal: object) => heard.push(refusal),
      observed: () => undefined,
    };
    const queue = new CallQueue(limiter);
    const { ask, end, started } = asker(queue);
    await ask('two', 1, 0, 2);
    await ask('one', 1, 1);
    const answer = { nowMs: 20, sentMs: 10, places: 2, tokens: 7 };
    queue.answered(answer);
    void ask('another two', 1, 2, 2);
    void ask('last', 1, 3);
    await end('nobody');
    expect(started).toEqual(['two', 'one', 'another two']);
    queue.answered(answer);
    queue.refused({ nowMs: 30, sentMs: 20, places: 2 });
    expect(heard).toEqual([
      { ...answer, isFull: false },
      { ...answer, isFull: true },
      { nowMs: 30, sentMs: 20, places: 2, others: 3 },
    ]);
  });
});

property.prop([
  fc.array(
    fc.record({ rank: fc.integer({ min: 0, max: 5 }), order: fc.integer({ min: 0, max: 50 }) }),
    { maxLength: 60 },
  ),
])('whatever the order of asking, calls start by rank, then by order', async (asked) => {
  const queue = queueOf(1);
  const { ask, end, started } = asker(queue);
  await ask('first', 0, 0);
  for (const [index, { rank, order }] of asked.entries()) {
    void ask(`${rank}/${order}/${index}`, rank, order);
  }
  for (let turn = 0; turn <= asked.length; turn++) await end(started.at(-1) ?? '');
  const expected = asked
    .map((one, index) => ({ ...one, index }))
    .sort((a, b) => a.rank - b.rank || a.order - b.order || a.index - b.index)
    .map(({ rank, order, index }) => `${rank}/${order}/${index}`);
  expect(started.slice(1)).toEqual(expected);
});
