import type { Message } from '../../schemas/records.ts';
import type { Sampling } from '../../processors/settings.ts';
import type { Load } from './limiter.ts';

/** A model server as a port. Adapters: any OpenAI-compatible server, and in-process models for tests and benches. */
export interface Endpoint {
  /** For messages to people: the URL, or what stands in its place. */
  readonly name: string;
  /** One request, one try. @throws CallError */
  send(call: Call, signal: AbortSignal): Promise<CallAnswer>;
  /** What the server says of its models; null if it does not say. @throws CallError */
  models(deadlineMs: number, signal: AbortSignal): Promise<readonly ServedModel[] | null>;
  /** How much the server has to do; null if it does not say. Left out where nobody could. */
  load?(deadlineMs: number): Promise<Load | null>;
}

export interface Call {
  /** What the call is for; sent as a header, so that a server's own ledger can tell roles apart. */
  readonly purpose: Purpose;
  readonly messages: readonly Message[];
  readonly sampling: Sampling;
  readonly n: number;
  readonly seed: number;
  /** How long it may take, to the last byte of the answer. */
  readonly deadlineMs: number;
}

export type Purpose = 'probe' | 'sample' | 'judge' | 'refine';

export interface CallAnswer {
  /** `n` of them. */
  readonly choices: readonly RawChoice[];
  /** Null if the server did not say. */
  readonly usage: Usage | null;
}

export interface RawChoice {
  readonly content: string;
  /** Thoughts that the server kept apart itself. */
  readonly reasoning: string | null;
  readonly finish_reason: string;
}

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

export interface ServedModel {
  readonly id: string;
  /** Tokens of prompt and answer together; null if the server does not say. */
  readonly context_tokens: number | null;
}

/**
 * Why a call brought no answer, as far as it matters for what happens next:
 * `rate-limited`, `server-error`, `timeout`, `cut`, `unusable` and `forbidden` are tried again, so and so often while
 * the endpoint answers others;
 * `down` and `denied` (the key) are the endpoint's alone, and wait until it answers (again);
 * `context` and `rejected` will never succeed with this request.
 */
export type CallErrorKind =
  | 'rate-limited'
  | 'server-error'
  | 'timeout'
  | 'cut'
  | 'unusable'
  | 'forbidden'
  | 'down'
  | 'denied'
  | 'context'
  | 'rejected';

export class CallError extends Error {
  override readonly name = 'CallError';
  readonly kind: CallErrorKind;
  /** HTTP status, null if none came. */
  readonly status: number | null;
  /** The server's own words where it refused, in one line and without secrets; null if none came. */
  readonly said: string | null;
  /** How long the server asked to wait, null if it did not. */
  readonly retryAfterMs: number | null;
  /** What an unusable answer cost nevertheless. */
  readonly usage: Usage | null;

  constructor(
    kind: CallErrorKind,
    message: string,
    details: {
      readonly status?: number | null;
      readonly said?: string | null;
      readonly retryAfterMs?: number | null;
      readonly usage?: Usage | null;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.status = details.status ?? null;
    this.said = details.said ?? null;
    this.retryAfterMs = details.retryAfterMs ?? null;
    this.usage = details.usage ?? null;
  }
}
