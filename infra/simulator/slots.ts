interface Waiting {
  readonly places: number;
  admit(): void;
}

/**
 * The places of a model server where choices are generated: first come, first served, so a wide request is never
 * starved by narrow ones.
 */
export class Slots {
  readonly #total: number;
  readonly #waitingMax: number;
  readonly #waiting = new Set<Waiting>();
  #busy = 0;
  #mostBusy = 0;

  /** @param waitingMax requests that wait at most; 0 refuses whoever does not fit at once */
  constructor(total: number, waitingMax: number) {
    this.#total = total;
    this.#waitingMax = waitingMax;
  }

  get busy(): number {
    return this.#busy;
  }

  get mostBusy(): number {
    return this.#mostBusy;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * @param places a request for more than there are takes them all
   * @returns what gives the places back; null if the request is refused
   * @throws the signal's reason if it aborts before the places are given
   */
  async acquire(places: number, signal: AbortSignal): Promise<(() => void) | null> {
    signal.throwIfAborted();
    const taken = Math.min(places, this.#total);
    if (this.#waiting.size > 0 || this.#busy + taken > this.#total) {
      if (this.#waiting.size >= this.#waitingMax) return null;
      await this.#turn(taken, signal);
    } else {
      this.#take(taken);
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      this.#busy -= taken;
      this.#admit();
    };
  }

  #take(places: number): void {
    this.#busy += places;
    this.#mostBusy = Math.max(this.#mostBusy, this.#busy);
  }

  #turn(places: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const leave = () => {
      this.#waiting.delete(waiting);
      reject(signal.reason as Error);
      // Whoever stood behind a wide request may fit.
      this.#admit();
    };
    const waiting: Waiting = {
      places,
      admit: () => {
        signal.removeEventListener('abort', leave);
        this.#take(places);
        resolve(undefined);
      },
    };
    this.#waiting.add(waiting);
    signal.addEventListener('abort', leave, { once: true });
    return promise;
  }

  #admit(): void {
    for (const waiting of this.#waiting) {
      if (this.#busy + waiting.places > this.#total) return;
      this.#waiting.delete(waiting);
      waiting.admit();
    }
  }
}
