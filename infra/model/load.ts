import type { Time } from '../time.ts';
import type { Endpoint } from './endpoint.ts';
import type { CallQueue } from './queue.ts';

/** How long a question for the load may take, and how long it is until the next. */
const deadlineMs = 2_000;
const everyMs = 5_000;
/** Questions in a row without an answer after which it is not asked any more. */
const failuresMax = 3;

/**
 * Asks a server that tells its load for it, now and then as answers come, and tells the queue. Nobody waits for it,
 * and a server that does not tell is soon left alone.
 */
export function watchingLoad<Kind extends Endpoint>(
  endpoint: Kind,
  queue: CallQueue,
  time: Time,
): Kind {
  let [askedMs, failures, isAsking] = [-Infinity, 0, false];
  if (!endpoint.load) return endpoint;
  const ask = async () => {
    isAsking = true;
    askedMs = time.monotonic();
    const told = await (endpoint.load?.(deadlineMs) ?? Promise.resolve(null)).catch(() => null);
    isAsking = false;
    failures = told === null ? failures + 1 : 0;
    if (told !== null) queue.observed(told, time.monotonic());
  };
  return {
    ...endpoint,
    async send(call, signal) {
      const answer = await endpoint.send(call, signal);
      const isDue = !isAsking && time.monotonic() - askedMs >= everyMs;
      if (isDue && failures < failuresMax) void ask();
      return answer;
    },
  };
}
