import { setTimeout as sleep } from 'node:timers/promises';
import type { Pipeline } from './pipeline.ts';
import type { Process } from './processes.ts';
import type { Blow } from './verifier.ts';

/** The workers of a pipeline, and all that is done to them. */
export interface Crew {
  /** Those that run and are not stopped. */
  readonly present: readonly Process[];
  /** When somebody was killed or stopped. */
  readonly blows: readonly Blow[];
  /** What was done, and when: seconds since the beginning. */
  readonly events: readonly string[];
  /** Workers that ended although nobody told them to, with the end of what they said. */
  readonly deserters: readonly string[];
  /** Aborted by the first of them. */
  readonly deserted: AbortSignal;
  hire(): void;
  kill(worker: Process): Promise<void>;
  /** SIGTERM; resolves when it has ended. */
  dismiss(worker: Process): Promise<void>;
  /** SIGSTOP for so long, then SIGCONT. */
  freeze(worker: Process, forMs: number): Promise<void>;
  note(event: string): void;
}

/** A worker that was told to end has this long; its calls in flight may take 20 s. */
const endMsMax = 60_000;

export function createCrew(pipeline: Pipeline): Crew {
  const all = new Set<Process>();
  const frozen = new Set<Process>();
  const blows: Blow[] = [];
  const events: string[] = [];
  const deserters: string[] = [];
  const deserted = new AbortController();
  const expected = new Set<Process>();
  const startedMs = performance.now();
  const note = (event: string): void => {
    events.push(`${((performance.now() - startedMs) / 1000).toFixed(1)} ${event}`);
  };
  return {
    get present() {
      return [...all].filter((worker) => !frozen.has(worker) && !expected.has(worker));
    },
    blows,
    events,
    deserters,
    deserted: deserted.signal,
    note,
    hire() {
      const worker = pipeline.worker();
      all.add(worker);
      note(`${worker.name} starts`);
      void worker.ended.then(({ code, signal }) => {
        all.delete(worker);
        if (expected.has(worker) && (code === 0 || signal === 'SIGKILL')) return;
        note(`${worker.name} ended: ${code ?? signal ?? ''}`);
        deserters.push(`${worker.name} ended with ${code ?? signal ?? ''}: ${worker.said()}`);
        deserted.abort(new Error(`${worker.name} has ended`));
      });
    },
    async kill(worker) {
      expected.add(worker);
      const at = Date.now();
      worker.send('SIGKILL');
      await worker.ended;
      // Whatever is sent to it from now on reaches nobody, however late the server hears of that.
      blows.push({ worker: worker.name, from: at, to: Number.POSITIVE_INFINITY });
      note(`${worker.name} killed`);
    },
    async dismiss(worker) {
      expected.add(worker);
      note(`${worker.name} told to end`);
      worker.send('SIGTERM');
      const tooLong = new AbortController();
      const ended = await Promise.race([
        worker.ended,
        sleep(endMsMax, null, { signal: tooLong.signal }).catch(() => null),
      ]);
      tooLong.abort();
      if (ended) {
        note(`${worker.name} has ended`);
        return;
      }
      deserters.push(`${worker.name} did not end within ${endMsMax} ms: ${worker.said()}`);
      worker.send('SIGKILL');
    },
    async freeze(worker, forMs) {
      frozen.add(worker);
      const from = Date.now();
      worker.send('SIGSTOP');
      note(`${worker.name} stopped`);
      await sleep(forMs);
      worker.send('SIGCONT');
      frozen.delete(worker);
      blows.push({ worker: worker.name, from, to: Date.now() });
      note(`${worker.name} goes on`);
    },
  };
}
