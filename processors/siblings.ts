import { Cancelled } from './processor.ts';

/**
 * The children of a wave while they are judged. As soon as one ends the tree and all before it are decided, those
 * behind it are cancelled, and no longer wanted; unless nothing is to be cancelled, when all are wanted to the end.
 */
export class Siblings {
  readonly #controllers: readonly AbortController[];
  /** Whether a child that is decided ends the tree. */
  readonly #decided = new Map<number, boolean>();
  readonly #cancels: boolean;
  readonly #signal: AbortSignal;
  #next = 0;
  /** How many, from the first on, are wanted. */
  #wanted: number;

  /** @param signal aborts them all */
  constructor(count: number, cancels: boolean, signal: AbortSignal) {
    this.#controllers = Array.from({ length: count }, () => new AbortController());
    this.#wanted = count;
    this.#cancels = cancels;
    this.#signal = signal;
    if (signal.aborted) this.#abort();
    signal.addEventListener('abort', this.#abort, { once: true });
  }

  wants(index: number): boolean {
    return index < this.#wanted;
  }

  signalOf(index: number): AbortSignal {
    return this.#controllers[index]?.signal ?? this.#signal;
  }

  decided(index: number, ends: boolean): void {
    this.#decided.set(index, ends);
    for (; this.#next < this.#wanted; this.#next++) {
      const next = this.#decided.get(this.#next);
      if (next === undefined) return;
      if (!next || !this.#cancels) continue;
      this.#wanted = this.#next + 1;
      const reason = new Cancelled('a sibling before it was accepted');
      for (const later of this.#controllers.slice(this.#wanted)) later.abort(reason);
    }
  }

  /** Leaves nothing behind on the signal. */
  end(): void {
    this.#signal.removeEventListener('abort', this.#abort);
  }

  readonly #abort = (): void => {
    for (const one of this.#controllers) one.abort(this.#signal.reason);
  };
}
