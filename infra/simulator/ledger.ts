import type { SimulatedRole } from './text.ts';

/** One request as the server saw it. */
export interface LedgerCall {
  /** The same for the same request: model, messages, seed, n and sampling. */
  readonly id: string;
  readonly role: SimulatedRole | 'probe';
  readonly n: number;
  /** Milliseconds since 1970. */
  readonly askedAt: number;
  /** When the last byte was handed over; null if it never was. */
  answeredAt: number | null;
  /** What came of it: `answered`, or why it was not. */
  result: LedgerResult;
  /** Of what was generated, whether or not it arrived. */
  prompt_tokens: number;
  completion_tokens: number;
  /** True if an answer to the same request had been sent before. */
  readonly repeated: boolean;
}

export type LedgerResult =
  | 'open'
  | 'answered'
  | 'gone'
  | 'rate-limited'
  | 'server-error'
  | 'hang'
  | 'cut'
  | 'garbage'
  | 'refused';

/** Sums over calls. */
export interface LedgerSums {
  asked: number;
  answered: number;
  generations: number;
  prompt_tokens: number;
  completion_tokens: number;
  repeated: number;
}

export interface LedgerSummary {
  readonly roles: Readonly<Record<LedgerCall['role'], LedgerSums>>;
  readonly results: Readonly<Record<LedgerResult, number>>;
  /** Choices being generated at most at one time. */
  readonly busiest: number;
  /** Calls that are no longer remembered one by one. */
  readonly forgotten: number;
}

/** What the server was asked and what it answered: the other side of what a run says of itself. */
export class Ledger {
  readonly #max: number;
  readonly #calls: LedgerCall[] = [];
  readonly #answered = new Set<string>();
  readonly #roles: Record<LedgerCall['role'], LedgerSums> = {
    probe: zero(),
    sample: zero(),
    judge: zero(),
    refine: zero(),
  };
  readonly #results: Record<LedgerResult, number> = {
    open: 0,
    answered: 0,
    gone: 0,
    'rate-limited': 0,
    'server-error': 0,
    hang: 0,
    cut: 0,
    garbage: 0,
    refused: 0,
  };
  #forgotten = 0;
  busiest = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get calls(): readonly LedgerCall[] {
    return this.#calls;
  }

  ask(id: string, role: LedgerCall['role'], n: number): LedgerCall {
    const call: LedgerCall = {
      id,
      role,
      n,
      askedAt: Date.now(),
      answeredAt: null,
      result: 'open',
      prompt_tokens: 0,
      completion_tokens: 0,
      repeated: this.#answered.has(id),
    };
    this.#roles[role].asked++;
    if (call.repeated) this.#roles[role].repeated++;
    this.#results.open++;
    if (this.#max > 0) {
      if (this.#calls.length >= this.#max)
        this.#forgotten += this.#calls.splice(0, Math.ceil(this.#max / 10)).length;
      this.#calls.push(call);
    }
    return call;
  }

  end(call: LedgerCall, result: Exclude<LedgerResult, 'open'>): void {
    if (call.result !== 'open') return;
    call.result = result;
    this.#results.open--;
    this.#results[result]++;
    if (result !== 'answered') return;
    call.answeredAt = Date.now();
    const sums = this.#roles[call.role];
    sums.answered++;
    sums.generations += call.n;
    sums.prompt_tokens += call.prompt_tokens;
    sums.completion_tokens += call.completion_tokens;
    // Without single calls there is nothing to compare with, and the set would grow without a bound.
    if (this.#max > 0) this.#answered.add(call.id);
    if (this.#answered.size > this.#max) this.#answered.clear();
  }

  summary(): LedgerSummary {
    return {
      roles: structuredClone(this.#roles),
      results: { ...this.#results },
      busiest: this.busiest,
      forgotten: this.#forgotten,
    };
  }
}

const zero = (): LedgerSums => ({
  asked: 0,
  answered: 0,
  generations: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  repeated: 0,
});
