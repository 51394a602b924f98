import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { asError } from '../errors.ts';
import { StorageError } from '../sqlite.ts';
import type { Time } from '../time.ts';
import { PackedAnswers, type Answer } from './batch.ts';
import type { Failed, ThreadData, Written } from './thread.ts';
import type { Batch } from './writes.ts';

export interface WriterOptions extends ThreadData {
  readonly time: Time;
  readonly lingerMs: number;
  readonly bytesMax: number;
  readonly writesMax: number;
  /** Takes what has been counted since it was asked last; it is written with whatever goes next. */
  readonly takeCounters: () => Batch['counters'];
  /** Gives them back: they were not written. */
  readonly keepCounters: (counters: Batch['counters']) => void;
}

/** Writes from here, in a thread of its own. */
export interface Writer {
  /** Resolves when durable. */
  answer(answer: Answer): Promise<void>;
  note(key: string, json: string): Promise<void>;
  /** Writes what is left, counters too, and ends the thread. */
  close(): Promise<void>;
}

/**
 * One transaction for many writes, one at a time. It is always in one of these modes:
 *
 * - **idle** until a write comes;
 * - **lingering** for `lingerMs`, so that others come along; enough of them end that at once;
 * - **writing**: a batch is with the thread, and what comes meanwhile waits for its end, so that a slow disk gets fewer
 *   and larger ones.
 *
 * The thread begins with the first batch. Between batches it keeps no process from ending.
 */
export function createWriter(options: WriterOptions): Writer {
  const { file, version, cacheKiB, time, lingerMs, bytesMax, writesMax } = options;
  let waiting: Waiting[] = [];
  /** Of those that wait. */
  const answers = new PackedAnswers();
  const notes: Batch['notes'][number][] = [];
  let bytesWaiting = 0;
  let lingering: AbortController | null = null;
  let writing: Promise<void> | null = null;
  /** What lingered for long enough goes as soon as the thread is free. */
  let isDue = false;
  let closed = false;
  let thread: Worker | null = null;
  /** Whoever waits for the batch that is with the thread. */
  let settle: ((failed: Failed | null) => void) | null = null;

  function go(): void {
    lingering?.abort();
    lingering = null;
    if (waiting.length === 0) return;
    isDue = true;
    writing ??= writeAll();
  }

  async function writeAll(): Promise<void> {
    while (isDue && waiting.length > 0) {
      isDue = false;
      const batch = waiting;
      waiting = [];
      bytesWaiting = 0;
      const counters = options.takeCounters();
      const failed = await send({ answers: answers.take(), notes: notes.splice(0), counters });
      if (failed === null) {
        for (const { resolve } of batch) resolve();
      } else {
        options.keepCounters(counters);
        const { code, message } = failed;
        const error = code === null ? new Error(message) : new StorageError(code, message);
        for (const { reject } of batch) reject(error);
      }
    }
    // In the same turn as the last look at what waits: whatever comes from now on goes for itself.
    writing = null;
  }

  /** One at a time. */
  function send(batch: Batch): Promise<Failed | null> {
    const { promise, resolve } = Promise.withResolvers<Failed | null>();
    settle = (failed) => {
      settle = null;
      thread?.unref();
      resolve(failed);
    };
    try {
      const at = (thread ??= start());
      at.ref();
      at.postMessage(batch, [batch.answers.buffer]);
    } catch (error) {
      settle(failure(asError(error).message));
    }
    return promise;
  }

  const failure = (message: string): Failed => ({ code: 'other', message: `${file}: ${message}` });

  function start(): Worker {
    const started = startThread({ file, version, cacheKiB });
    started.on('message', ({ failed, buffer }: Written) => {
      answers.giveBack(buffer);
      settle?.(failed);
    });
    // Whoever waits for a batch hears why; the next batch begins another one.
    const end = (message: string) => {
      if (thread === started) thread = null;
      settle?.(failure(message));
    };
    started.on('error', (error) => end(asError(error).message));
    started.on('exit', () => end('the thread that writes it has ended'));
    return started;
  }

  function linger(): void {
    const controller = new AbortController();
    lingering = controller;
    time.sleep(lingerMs, controller.signal).then(
      () => {
        if (lingering !== controller) return;
        // Over by itself: to abort it as well would only make an error that nobody hears of.
        lingering = null;
        go();
      },
      // Aborted: enough was waiting.
      () => undefined,
    );
  }

  /** @param keep puts the write to what goes next */
  function add(keep: () => void, bytes: number): Promise<void> {
    if (closed) return Promise.reject(new Error(`${file} is closed`));
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    keep();
    waiting.push({ resolve: () => resolve(undefined), reject });
    bytesWaiting += bytes;
    if (bytesWaiting >= bytesMax || waiting.length >= writesMax) go();
    else if (!lingering && !isDue) linger();
    return promise;
  }

  return {
    answer: (answer) => add(() => answers.add(answer), answer.body.length),
    note: (key, json) => add(() => notes.push([key, json]), json.length),
    async close() {
      closed = true;
      go();
      while (writing) await writing;
      const counters = options.takeCounters();
      const failed =
        counters.length > 0 ? await send({ answers: answers.take(), notes, counters }) : null;
      if (thread) {
        const ended = once(thread, 'exit');
        thread.ref();
        thread.postMessage('close');
        await ended;
      }
      if (failed) throw new StorageError('other', `${file}: the last counters were not written`);
    },
  };
}

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Of the thread's heap; batches are 8 MiB at the most, and rarely one. */
const youngMbMax = 12;

function startThread(workerData: ThreadData): Worker {
  // The built package has it as JavaScript, beside this file.
  const name = import.meta.url.endsWith('.ts') ? './thread.ts' : './thread.js';
  return new Worker(new URL(name, import.meta.url), {
    workerData,
    // A batch is garbage as soon as it is written: with V8's own room for the young it would fill tens of megabytes first.
    resourceLimits: { maxYoungGenerationSizeMb: youngMbMax },
  });
}
