import { expect, test } from 'vitest';
import { ask } from '../../infra/evaluate/ask.ts';
import type { Task } from '../../infra/evaluate/benchmark.ts';
import { createMemoryJournal } from '../../infra/journal/memory.ts';
import { systemTime } from '../../infra/time.ts';
import { configOf, endpointOf } from '../run/support.ts';
import { instantModel } from '../support/model.ts';

const tasks: readonly Task[] = Array.from({ length: 40 }, (_, index) => ({
  line: index + 1,
  id: String(index),
  messages: [{ role: 'user', content: `Prompt ${index}` }],
  constraints: [],
}));

test('what was answered before a stop is not asked again, and the answers are those of one run', async () => {
  const journal = createMemoryJournal();
  const model = instantModel({ failRate: 0.5, refineRate: 0 });
  const config = configOf();
  const run = (stopAfter: number) => {
    const stop = new AbortController();
    return ask(tasks, {
      home: { journal, pipeline: 'spar' },
      config,
      endpoint: endpointOf({ maxInFlight: 4 }),
      connect: () => model,
      sampling: config.evaluate,
      name: '1',
      time: systemTime,
      notice: () => undefined,
      progress: (done) => {
        if (done >= stopAfter) stop.abort(new Error('enough'));
      },
      stop: stop.signal,
    });
  };
  const part = await run(10);
  expect(part.answers.length).toBeGreaterThanOrEqual(10);
  expect(part.answers.length).toBeLessThan(40);
  const all = await run(Infinity);
  expect(all.answers).toHaveLength(40);
  expect(all.answers.slice(0, part.answers.length)).toEqual(part.answers);
  expect(model.calls.filter(({ purpose }) => purpose === 'sample')).toHaveLength(40);
});
