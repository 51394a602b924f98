import { EventEmitter } from 'node:events';
import { expect, test, vi } from 'vitest';
import { createWriter } from '../../infra/journal/writer.ts';
import { instantTime } from '../support/time.ts';

/** Threads that end, without a word, when they get their first batch; or answer it. */
const threads = vi.hoisted(() => ({ begun: 0, answer: false }));
vi.mock('node:worker_threads', () => ({
  Worker: class extends EventEmitter {
    constructor() {
      super();
      threads.begun++;
    }
    readonly ref = () => this;
    readonly unref = () => this;
    postMessage(message: unknown): void {
      const isEnd = message === 'close' || !threads.answer;
      const written = { failed: null, buffer: new ArrayBuffer(0) };
      setImmediate(() => this.emit(isEnd ? 'exit' : 'message', isEnd ? 1 : written));
    }
  },
}));

test('a thread that ends without a word fails its batch, and the next one begins another', async () => {
  const counters = vi.fn();
  const writer = createWriter({
    ...{ file: 'journal', version: 1, cacheKiB: 1, time: instantTime() },
    ...{ lingerMs: 1, bytesMax: 1 << 20, writesMax: 1 },
    takeCounters: () => [['i', 'calls', 1]],
    keepCounters: counters,
  });
  await expect(writer.note('a', '{}')).rejects.toMatchObject({
    name: 'StorageError',
    message: 'journal: the thread that writes it has ended',
  });
  expect(counters).toHaveBeenCalledWith([['i', 'calls', 1]]);
  threads.answer = true;
  await writer.note('b', '{}');
  expect(threads.begun).toBe(2);
  await writer.close();
});
