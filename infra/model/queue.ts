import { onAborted } from '../signals.ts';

/**
 * Who calls next. Calls, not records, queue: later stages first, and within a stage in order of admission, so
 * that trees finish before new ones start. A call with n choices holds n places until its slowest choice ends.
 *
 * The limit moves: it halves when the server refuses (429, 503) and grows back by one place for each
 * limit's worth of answers, never above `maxInFlight`.
 */
export class CallQueue {
  readonly maxInFlight: number;
  #limit: number;
  #held = 0;
  #answered = 0;
  #halvedAt = -Infinity;
  readonly #waiting: Waiting[] = [];
  #sequence = 0;
  #closed = false;

  constructor(maxInFlight: number) {
    this.maxInFlight = maxInFlight;
    this.#limit = maxInFlight;
  }

  get held(): number {
    return this.#held;
  }

  get limit(): number {
    return this.#limit;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Resolves with the way to give the places back; rejects with the signal's reason if it aborts first.
   *
   * @param rank lower goes first
   * @param places how many choices the call asks for
   */
  async acquire(
    rank: number,
    order: number,
    places: number,
    signal: AbortSignal,
  ): Promise<() => void> {
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const entry: Waiting = {
      rank,
      order,
      sequence: this.#sequence++,
      // A call wider than the whole limit still has its turn, alone.
      places: Math.min(places, this.maxInFlight),
      start: () => resolve(undefined),
    };
    const abandon = () => {
      const index = this.#waiting.indexOf(entry);
      if (index < 0) return;
      removeAt(this.#waiting, index);
      reject(signal.reason as Error);
      this.#start();
    };
    const stopWaiting = onAborted(signal, abandon);
    push(this.#waiting, entry);
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

  answered(): void {
    this.#answered++;
    if (this.#answered >= this.#limit && this.#limit < this.maxInFlight) {
      this.#answered = 0;
      this.#limit++;
      this.#start();
    }
  }

  /** The server refused. Refusals within a second belong to one burst and halve once. */
  refused(now: number): void {
    this.#answered = 0;
    if (now - this.#halvedAt < 1000) return;
    this.#halvedAt = now;
    this.#limit = Math.max(1, Math.floor(this.#limit / 2));
  }

  /** No call starts any more; those that were sent go on. */
  close(): void {
    this.#closed = true;
  }

  #start(): void {
    if (this.#closed) return;
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      // Strictly in order: letting a narrow call past a wide one would starve the wide one.
      if (this.#held > 0 && this.#held + first.places > this.#limit) return;
      removeAt(this.#waiting, 0);
      this.#held += first.places;
      first.start();
    }
  }
}

interface Waiting {
  readonly rank: number;
  readonly order: number;
  readonly sequence: number;
  readonly places: number;
  readonly start: () => void;
}

const before = (a: Waiting, b: Waiting): boolean =>
  a.rank !== b.rank
    ? a.rank < b.rank
    : a.order !== b.order
      ? a.order < b.order
      : a.sequence < b.sequence;

/** A binary heap in an array: tens of thousands of calls may wait. */
function push(heap: Waiting[], entry: Waiting): void {
  heap.push(entry);
  rise(heap, heap.length - 1, entry);
}

function removeAt(heap: Waiting[], index: number): void {
  const last = heap.pop();
  if (!last || index >= heap.length) return;
  const sunk = sink(heap, index, last);
  rise(heap, sunk, last);
}

function rise(heap: Waiting[], from: number, entry: Waiting): void {
  let index = from;
  while (index > 0) {
    const above = (index - 1) >> 1;
    const parent = heap[above];
    if (!parent || !before(entry, parent)) break;
    heap[index] = parent;
    index = above;
  }
  heap[index] = entry;
}

function sink(heap: Waiting[], from: number, entry: Waiting): number {
  let index = from;
  for (;;) {
    let below = 2 * index + 1;
    const [left, right] = [heap[below], heap[below + 1]];
    if (!left) break;
    const least = right && before(right, left) ? (below++, right) : left;
    if (!before(least, entry)) break;
    heap[index] = least;
    index = below;
  }
  heap[index] = entry;
  return index;
}
