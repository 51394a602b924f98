import { expect, test } from 'vitest';
import { RunError, Unavailable } from '../../../infra/errors.ts';
import { watchSize } from '../../../infra/log/kafka/watch.ts';
import { systemTime } from '../../../infra/time.ts';

/** What a watcher hears while these are what it gets for the topic's size; the last one for ever. */
async function heard(sizes: readonly (number | Error)[]): Promise<readonly string[]> {
  const left = [...sizes];
  const events: string[] = [];
  const leave = new AbortController();
  const sizeOf = (): Promise<number> => {
    if (left.length === 0) leave.abort(new Error('the test is over'));
    const size = left.shift() ?? 0;
    return typeof size === 'number' ? Promise.resolve(size) : Promise.reject(size);
  };
  await watchSize(
    sizeOf,
    { appended: () => events.push('appended'), failed: ({ message }) => events.push(message) },
    { ...systemTime, sleep: (_delayMs, signal) => systemTime.sleep(0, signal) },
    leave.signal,
  );
  return events;
}

const away = new Unavailable('the brokers do not answer');

test.each<[string, readonly (number | Error)[], readonly string[]]>([
  ["what came between the caller's look and the first of ours is told", [5, 5], ['appended']],
  ['each growth is', [0, 3, 3, 4], ['appended', 'appended', 'appended']],
  ['brokers that are away are waited for, from the first look on', [away, away, 5], ['appended']],
  ['and later', [5, away, away, 6], ['appended', 'appended']],
  ['what never changes by itself is a failure, at once', [new RunError('denied')], ['denied']],
  [
    'and later',
    [5, new RunError('the topic is not there'), 6],
    ['appended', 'the topic is not there'],
  ],
])('%s', async (_name, sizes, events) => {
  expect(await heard(sizes)).toEqual(events);
});
