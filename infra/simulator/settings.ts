/** Everything that the simulated model server can be told; all rates are shares from 0 to 1. */
export interface SimulatorSettings {
  /** Decides every draw together with the request; the same request always gets the same answer. */
  readonly seed: number;
  /** 0 takes any free port. */
  readonly port: number;
  readonly host: string;
  /** Requests for another model are answered 404. */
  readonly model: string;
  /** Requests without it are answered 401; null takes everybody. */
  readonly apiKey: string | null;
  /** Longer prompts (tokens, with `max_tokens`) are answered 400. */
  readonly contextTokens: number;
  /** Sampled responses that fail. */
  readonly failRate: number;
  /** Refinements that pass. */
  readonly refineRate: number;
  /** Votes that see the truth. */
  readonly judgeAccuracy: number;
  /** Votes that cannot be read. */
  readonly invalidRate: number;
  /** Refiner answers without marks. */
  readonly unmarkedRate: number;
  /** Where thoughts are put: nowhere, in `<think>` inside the content, or in `reasoning_content`. */
  readonly reasoning: 'none' | 'think-tags' | 'field';
  /** Whether `n` is honoured, answered with one choice, or answered 400. */
  readonly n: 'honoured' | 'ignored' | 'refused';
  /** Whether the reported usage covers all choices, one of them, or is left out. */
  readonly usage: 'all' | 'one' | 'none';
  /** Answers every request with a page of HTML, like a wrong URL. */
  readonly html: boolean;
  /** Choices generated at once; 0 for no limit. */
  readonly slots: number;
  /** What a request gets when no slot is free: a place in the queue, or 429. */
  readonly whenFull: 'queue' | 'refuse';
  /** Before anything else happens, per request. */
  readonly latencyMs: number;
  readonly prefillMsPerToken: number;
  readonly decodeMsPerToken: number;
  /** Requests answered 429, 500, never, with a connection that breaks off, or with a body that is no answer. */
  readonly faults: {
    readonly rateLimited: number;
    readonly serverError: number;
    readonly hang: number;
    readonly cut: number;
    readonly garbage: number;
  };
  /** Sent with 429. */
  readonly retryAfterSeconds: number;
  /** Calls that the ledger remembers one by one; older ones stay in its sums. */
  readonly ledgerCalls: number;
}

export const defaultSimulatorSettings: SimulatorSettings = {
  seed: 0,
  port: 8000,
  host: '127.0.0.1',
  model: 'simulated',
  apiKey: null,
  contextTokens: 32_768,
  failRate: 0.4,
  refineRate: 0.4,
  judgeAccuracy: 0.9,
  invalidRate: 0.02,
  unmarkedRate: 0.03,
  reasoning: 'none',
  n: 'honoured',
  usage: 'all',
  html: false,
  slots: 0,
  whenFull: 'queue',
  latencyMs: 0,
  prefillMsPerToken: 0,
  decodeMsPerToken: 0,
  faults: { rateLimited: 0, serverError: 0, hang: 0, cut: 0, garbage: 0 },
  retryAfterSeconds: 1,
  ledgerCalls: 2_000_000,
};
