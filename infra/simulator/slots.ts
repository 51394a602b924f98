/** The places of a continuous-batching server: a request with n choices takes n of them, first come, first served. */
export class Slots {
  readonly #count: number;
  #busy = 0;
  readonly #waiting: { readonly n: number; readonly start: () => void }[] = [];

  /** @param count 0 for no limit */
  constructor(count: number) {
    this.#count = count;
  }

  get busy(): number {
    return this.#busy;
  }

  hasRoomFor(n: number): boolean {
    return this.#count === 0 || this.#busy === 0 || this.#busy + n <= this.#count;
  }

  /** Resolves with the way to give the places back; never while `signal` is aborted. */
  async take(n: number, signal: AbortSignal): Promise<() => void> {
    if (this.#waiting.length > 0 || !this.hasRoomFor(n)) {
      await new Promise<void>((resolve) => {
        const entry = { n, start: resolve };
        this.#waiting.push(entry);
        signal.addEventListener(
          'abort',
          () => {
            const index = this.#waiting.indexOf(entry);
            if (index < 0) return;
            this.#waiting.splice(index, 1);
            resolve();
            this.#start();
          },
          { once: true },
        );
      });
      if (signal.aborted) return () => undefined;
    } else {
      this.#busy += n;
    }
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#busy -= n;
      this.#start();
    };
  }

  #start(): void {
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      if (!this.hasRoomFor(first.n)) return;
      this.#waiting.shift();
      this.#busy += first.n;
      first.start();
    }
  }
}
