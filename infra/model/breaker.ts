import { unlessAborted } from '../signals.ts';
import type { Time } from '../time.ts';
import { CallError, type CallErrorKind } from './endpoint.ts';

export interface BreakerSettings {
  /** Failures in a row, of any calls, after which an endpoint counts as down. */
  readonly downAfter: number;
  /** Refusals (429), each outweighed by an answer, after which an endpoint counts as down. */
  readonly busyAfter: number;
  /** Waits between the questions that find out whether it is back: from the first to the last. */
  readonly downFirstDelayMs: number;
  readonly downMaxDelayMs: number;
  /** Longest wait that a server may ask for with Retry-After. */
  readonly maxRetryAfterMs: number;
}

/** How often an endpoint has answered: calls, and the questions of its breaker. */
export interface Answers {
  readonly calls: number;
  readonly questions: number;
}

/** Since when (monotonic ms) and why an endpoint is down. */
export interface Down {
  readonly sinceMs: number;
  readonly error: string;
}

/** The request's own fault, whoever is asked: it says nothing of the endpoint. */
const ofTheRequest: readonly CallErrorKind[] = ['context', 'rejected'];

/**
 * Whether an endpoint is there, as far as its calls show. It is always in one of these modes:
 *
 * - **closed**: calls go. Too many failures in a row, too many refusals, or a caller who suspects it, open it.
 * - **open**: no call goes. One of those that wait asks a small question of its own, with growing waits between; the
 *   others sleep. What comes back is about the endpoint and nothing else: a call that fails for what it asks cannot
 *   hold up the others, and an endpoint that refuses everything is not taken for many bad requests. The answer to the
 *   question, or to a call that was still under way, closes it.
 *
 * An endpoint that refused for now is not believed at once, since a small question may find room where a call does
 * not: it is `down` until a call has been taken, and until answers outweigh the refusals a single one opens it again.
 * So an endpoint that takes one call in a hundred is given one after the other, and none is worn out by refusals.
 */
export class Breaker {
  readonly #settings: BreakerSettings;
  readonly #time: Time;
  readonly #question: (signal: AbortSignal) => Promise<unknown>;
  #open = false;
  #down: Down | null = null;
  #failures = 0;
  #refusals = 0;
  #answers: Answers = { calls: 0, questions: 0 };
  /** Questions since a call was last answered. */
  #asked = 0;
  #wishMs = 0;
  #asking: Promise<void> | null = null;
  #answered = new AbortController();

  /** @param question asks the endpoint something small that it cannot refuse for what it is; throws a CallError */
  constructor(
    settings: BreakerSettings,
    time: Time,
    question: (signal: AbortSignal) => Promise<unknown>,
  ) {
    this.#settings = settings;
    this.#time = time;
    this.#question = question;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get down(): Down | null {
    return this.#down;
  }

  /** So far, for `hasShown` to compare with later. */
  get answers(): Answers {
    return this.#answers;
  }

  /**
   * Whether the endpoint has shown since then that such a failure is not its own: by any answer, but where it refuses
   * for now only by the answer to a call.
   */
  hasShown({ kind }: CallError, since: Answers): boolean {
    const { calls, questions } = this.#answers;
    return calls > since.calls || (kind !== 'rate-limited' && questions > since.questions);
  }

  /** Resolves when calls may go; rejects with the signal's reason if it aborts first. */
  async pass(signal: AbortSignal): Promise<void> {
    while (this.#open) {
      this.#asking ??= this.#ask(signal).finally(() => (this.#asking = null));
      await unlessAborted(this.#asking, signal);
    }
  }

  /** A call was answered. */
  answered(): void {
    this.#answers = { ...this.#answers, calls: this.#answers.calls + 1 };
    this.#asked = 0;
    this.#down = null;
    this.#refusals = Math.max(0, this.#refusals - 1);
    this.#close();
  }

  failed(error: CallError): void {
    const { downAfter, busyAfter } = this.#settings;
    const refused = error.kind === 'rate-limited';
    // Whatever else went wrong, the call was taken.
    if (!refused && !this.#open) this.#down = null;
    if (ofTheRequest.includes(error.kind)) return;
    if (refused) this.#refusals = Math.min(2 * busyAfter, this.#refusals + 1);
    else this.#failures++;
    const tooMany = refused ? this.#refusals >= busyAfter : this.#failures >= downAfter;
    if (this.#open || tooMany) this.suspect(error);
  }

  /** A call would be given up, and nothing shows that this is not the endpoint's fault. */
  suspect(error: CallError): void {
    if (error.kind === 'rate-limited') {
      this.#refusals = Math.max(this.#settings.busyAfter, this.#refusals);
    }
    this.#open = true;
    this.#down = { sinceMs: this.#down?.sinceMs ?? this.#time.monotonic(), error: error.message };
    this.#wishMs = error.retryAfterMs ?? 0;
  }

  #close(): void {
    this.#failures = 0;
    if (!this.#open) return;
    this.#open = false;
    // Whoever asks, or waits to ask, need not go on.
    this.#answered.abort();
    this.#answered = new AbortController();
  }

  /** Waits, and asks once; whoever asks does it for all. */
  async #ask(asker: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([asker, this.#answered.signal]);
    try {
      await this.#time.sleep(this.#delayMs(), signal);
      this.#asked++;
      await this.#question(signal);
      this.#replied();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof CallError)) throw error;
      if (ofTheRequest.includes(error.kind)) this.#replied();
      else this.suspect(error);
    }
  }

  #replied(): void {
    this.#answers = { ...this.#answers, questions: this.#answers.questions + 1 };
    if (this.#refusals < this.#settings.busyAfter) this.#down = null;
    this.#close();
  }

  /** Doubles from the first to the last; a server's own wish goes first. */
  #delayMs(): number {
    const { downFirstDelayMs, downMaxDelayMs, maxRetryAfterMs } = this.#settings;
    const backoffMs = Math.min(downMaxDelayMs, downFirstDelayMs * 2 ** this.#asked);
    return Math.max(backoffMs, Math.min(maxRetryAfterMs, this.#wishMs));
  }
}
