import type { Role } from './answer.ts';
import type { Fault } from './settings.ts';

/**
 * How a request ended: `answered` in full; `refused` with a status that says why; `full`: 429 for want of slots;
 * `gone`: the client left before its answer was sent; or the fault that was played.
 */
export type Ending = 'answered' | 'refused' | 'full' | 'gone' | Fault;

/** One request as it is remembered. Times are milliseconds since 1970. */
export interface LedgerCall {
  /** The same for requests that ask the same: role, seed, messages, n, and how choices are drawn and cut. */
  readonly id: string;
  readonly role: LedgerRole;
  readonly n: number;
  readonly seed: number | null;
  /** Who asked, if the request says so; it makes no request another. */
  readonly user: string | null;
  readonly asked_at: number;
  /** When the last byte went out; null while it has not, and for what was never sent whole. */
  answered_at: number | null;
  /** Null while it is under way. */
  ending: Ending | null;
  /** HTTP status; null if none was sent. */
  status: number | null;
  /** Choices that were sent in full. */
  generations: number;
  prompt_tokens: number;
  completion_tokens: number;
  /** Whether this id had been answered in full before it was asked again. */
  readonly repeated: boolean;
}

export type LedgerRole = Role | 'probe';

/** What came to pass with the requests of a role. */
export interface LedgerSums {
  readonly asked: number;
  /** Answers that were sent in full; garbage is counted apart. */
  readonly answered: number;
  readonly generations: number;
  /** Tokens of `answered`: what it took, whatever the reported usage says. */
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  /** Garbage that reported usage, and that usage. */
  readonly unusable: {
    readonly answered: number;
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
  };
  readonly faults: Readonly<Record<Fault, number>>;
  /** 429 for want of slots. */
  readonly full: number;
  readonly refused: number;
  /** The client left. */
  readonly gone: number;
  readonly under_way: number;
  /** Asked although the same had been answered in full before. */
  readonly repeated: number;
}

export interface LedgerSummary {
  readonly total: LedgerSums;
  readonly roles: Readonly<Record<LedgerRole, LedgerSums>>;
  /** Requests that `calls` still holds, and those that were dropped for want of room, oldest first. */
  readonly calls: { readonly kept: number; readonly dropped: number };
}

type Mutable<Value> = Value extends number
  ? number
  : { -readonly [Key in keyof Value]: Mutable<Value[Key]> };

const roles: readonly LedgerRole[] = ['probe', 'sample', 'judge', 'refine'];

/** What was asked and answered: sums for ever, single calls up to a bound. */
export class Ledger {
  readonly #callsMax: number;
  /** A ring once it is full: `#dropped % #callsMax` is then the oldest. */
  readonly #calls: LedgerCall[] = [];
  #dropped = 0;
  readonly #ids = new Map<string, { asked: number; answered: number }>();
  readonly #sums: Record<LedgerRole, Mutable<LedgerSums>> = {
    probe: noSums(),
    sample: noSums(),
    judge: noSums(),
    refine: noSums(),
  };

  constructor(callsMax: number) {
    this.#callsMax = callsMax;
  }

  /**
   * A request has come.
   *
   * @returns its call, and how often the same was asked before
   */
  asked(
    request: Pick<LedgerCall, 'id' | 'role' | 'n' | 'seed' | 'user' | 'asked_at' | 'prompt_tokens'>,
  ): {
    readonly call: LedgerCall;
    readonly before: number;
  } {
    const known = this.#ids.get(request.id) ?? { asked: 0, answered: 0 };
    const before = known.asked++;
    if (before === 0) this.#ids.set(request.id, known);
    if (this.#ids.size > this.#callsMax) this.#forgetOldestId();
    const call: LedgerCall = {
      ...request,
      answered_at: null,
      ending: null,
      status: null,
      generations: 0,
      completion_tokens: 0,
      repeated: known.answered > 0,
    };
    if (this.#calls.length < this.#callsMax) this.#calls.push(call);
    else this.#calls[this.#dropped++ % this.#callsMax] = call;
    const sums = this.#sums[call.role];
    sums.asked++;
    sums.under_way++;
    if (call.repeated) sums.repeated++;
    return { call, before };
  }

  /** A request has ended; a second ending of the same changes nothing. */
  ended(
    call: LedgerCall,
    ending: Ending,
    details: Partial<
      Pick<LedgerCall, 'answered_at' | 'status' | 'generations' | 'completion_tokens'>
    > = {},
  ): void {
    if (call.ending !== null) return;
    Object.assign(call, details, { ending });
    const sums = this.#sums[call.role];
    sums.under_way--;
    if (ending === 'answered') {
      sums.answered++;
      sums.generations += call.generations;
      sums.prompt_tokens += call.prompt_tokens;
      sums.completion_tokens += call.completion_tokens;
      const known = this.#ids.get(call.id);
      if (known) known.answered++;
      return;
    }
    if (ending === 'full' || ending === 'refused' || ending === 'gone') {
      sums[ending]++;
      return;
    }
    sums.faults[ending]++;
    if (ending === 'garbage' && call.completion_tokens > 0) {
      sums.unusable.answered++;
      sums.unusable.prompt_tokens += call.prompt_tokens;
      sums.unusable.completion_tokens += call.completion_tokens;
    }
  }

  summary(): LedgerSummary {
    const total = noSums();
    for (const role of roles) add(total, this.#sums[role]);
    return {
      total,
      roles: structuredClone(this.#sums),
      calls: { kept: this.#calls.length, dropped: this.#dropped },
    };
  }

  /** The calls that are still held, oldest first; those that come in the meantime may be among them. */
  *calls(): Generator<LedgerCall> {
    const first = this.#dropped;
    for (let index = 0; index < this.#calls.length; index++) {
      const call = this.#calls[(first + index) % this.#callsMax];
      if (call) yield call;
    }
  }

  #forgetOldestId(): void {
    for (const id of this.#ids.keys()) {
      this.#ids.delete(id);
      return;
    }
  }
}

const noSums = (): Mutable<LedgerSums> => ({
  asked: 0,
  answered: 0,
  generations: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  unusable: { answered: 0, prompt_tokens: 0, completion_tokens: 0 },
  faults: { rate_limited: 0, server_error: 0, hang: 0, cut: 0, garbage: 0 },
  full: 0,
  refused: 0,
  gone: 0,
  under_way: 0,
  repeated: 0,
});

/** Adds every number of `more` to its place in `sums`. */
function add<Sums extends object>(sums: Sums, more: Sums): void {
  for (const key of Object.keys(sums) as (keyof Sums)[]) {
    const [value, added] = [sums[key], more[key]];
    if (typeof value === 'number') Object.assign(sums, { [key]: value + Number(added) });
    else add(value as object, added as object);
  }
}
