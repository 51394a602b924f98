import type { Answered, Limiter, Load, Refused } from './limiter.ts';
import { Heap } from '../heap.ts';
import { onAborted } from '../signals.ts';

/**
 * Who calls next. Calls, not records, queue: later stages first, and within a stage in order of admission, so
 * that trees finish before new ones start. Calls of one ask stay together, since they begin with the same text, which
 * the server has cached. A call with n choices holds n places until its slowest choice ends.
 *
 * How many places there are is the limiter's to say, and moves with what the calls bring.
 */
export class CallQueue {
  readonly #limiter: Limiter;
  #held = 0;
  /** Tens of thousands of calls may wait. */
  readonly #waiting = new Heap(before);
  #sequence = 0;
  #closed = false;

  constructor(limiter: Limiter) {
    this.#limiter = limiter;
  }

  get held(): number {
    return this.#held;
  }

  get limit(): number {
    return this.#limiter.limit;
  }

  /** The limit is never above it. */
  get maxInFlight(): number {
    return this.#limiter.most;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Resolves with the way to give the places back; rejects with the signal's reason if it aborts first.
   *
   * @param places how many choices the call asks for
   */
  async acquire(
    { rank, order, ask }: Turn,
    places: number,
    signal: AbortSignal,
  ): Promise<() => void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const entry: Waiting = {
      rank,
      order,
      ask,
      sequence: this.#sequence++,
      // A call wider than the whole limit still has its turn, alone.
      places: Math.min(places, this.#limiter.most),
      start: () => resolve(undefined),
    };
    const abandon = () => {
      if (!this.#waiting.delete(entry)) return;
      reject(signal.reason as Error);
      this.#start();
    };
    const stopWaiting = onAborted(signal, abandon);
    this.#waiting.push(entry);
    this.#start();
    try {
      await promise;
    } finally {
      stopWaiting();
    }
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#held -= entry.places;
      this.#start();
    };
  }

  /** A call that holds its places was answered. */
  answered(answer: Omit<Answered, 'isFull'>): void {
    this.#limiter.answered({ ...answer, isFull: this.#waiting.size > 0 });
    this.#start();
  }

  /** The server refused, for now, a call that holds its places. */
  refused(refusal: Omit<Refused, 'others'>): void {
    this.#limiter.refused({ ...refusal, others: Math.max(0, this.#held - refusal.places) });
  }

  observed(load: Load, nowMs: number): void {
    this.#limiter.observed(load, nowMs);
    this.#start();
  }

  /** No call starts any more; those that were sent go on. */
  close(): void {
    this.#closed = true;
  }

  #start(): void {
    if (this.#closed) return;
    for (let first = this.#waiting.first; first; first = this.#waiting.first) {
      // Strictly in order: letting a narrow call past a wide one would starve the wide one.
      if (this.#held > 0 && this.#held + first.places > this.#limiter.limit) return;
      this.#waiting.shift();
      this.#held += first.places;
      first.start();
    }
  }
}

/** Whose turn it is: the lower number goes first, the first that differs decides. */
export interface Turn {
  /** Of the stage. */
  readonly rank: number;
  /** Of the instruction. */
  readonly order: number;
  /** Of what was asked for together, in as many calls as it took. */
  readonly ask: number;
}

interface Waiting extends Turn {
  readonly sequence: number;
  readonly places: number;
  readonly start: () => void;
}

const before = (a: Waiting, b: Waiting): boolean =>
  (a.rank - b.rank || a.order - b.order || a.ask - b.ask || a.sequence - b.sequence) < 0;
