import { UsageError } from '../errors.ts';

/** What a simulated model server is like. Rates are shares from 0 to 1. */
export interface SimulatorSettings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Decides every draw and every fault, together with what is asked. */
  readonly seed: number;
  /** The one model that is served; another name is answered with 404. */
  readonly model: string;
  /** The key that callers must send; null if none is needed. */
  readonly apiKey: string | null;

  /** Share of sampled responses that break a requirement. */
  readonly failRate: number;
  /** Share of readable votes that tell the truth. */
  readonly judgeAccuracy: number;
  /** Share of votes that end without a readable verdict. */
  readonly invalidRate: number;
  /** Share of refinements that mend what was broken. */
  readonly refineRate: number;
  /** Share of refiner's answers that lack the marks. */
  readonly unmarkedRate: number;
  /** Whether the model thinks aloud, and where its thoughts stand: in the content, or in a field of their own. */
  readonly reasoning: 'none' | 'think-tags' | 'field';

  /** Whether the reported usage covers all choices, only the first (as llama.cpp does), or is left out. */
  readonly usageMode: 'all' | 'one' | 'none';
  /** What happens to `n` above 1: that many choices, one choice, or status 400. */
  readonly nMode: 'honoured' | 'ignored' | 'refused';
  /** `n` beyond this is refused, as OpenAI does. */
  readonly choicesMax: number;
  /** Prompt and `max_tokens` together; beyond it a request is refused, as vLLM does. */
  readonly contextTokens: number;
  /** Answers every request of the API with a web page, as a wrong URL does. */
  readonly html: boolean;

  /** Choices that are generated at the same time; null for any number. */
  readonly slots: number | null;
  /** What happens to a request that finds too few free slots: it waits, or is refused with 429. */
  readonly whenFull: 'queue' | 'refuse';
  /** Requests that wait for slots at most; beyond it they are refused with 429. */
  readonly queueMax: number;
  /** Time that every answer takes. */
  readonly latencyMs: number;
  /** Time for each token of the prompt. */
  readonly prefillMsPerToken: number;
  /** Time for each token of the longest choice. */
  readonly decodeMsPerToken: number;

  /** Share of requests that go wrong, by how. They add up to 1 at most. */
  readonly faults: Readonly<Record<Fault, number>>;
  /** What refused requests are told to wait. */
  readonly retryAfterMs: number;

  /** Requests that the ledger remembers one by one; each costs about 300 bytes. Its sums go on beyond it. */
  readonly ledgerCallsMax: number;
  /** A longer request is refused with 413. */
  readonly bodyBytesMax: number;
  /** How long an idle connection stays open; longer than clients keep theirs, so that no request meets a closed one. */
  readonly keepAliveMs: number;
}

/**
 * `rate_limited`: 429 with Retry-After; `server_error`: 500; `hang`: no answer until the client goes;
 * `cut`: the connection breaks amid the body; `garbage`: status 200 with a body that holds no usable answer.
 */
export type Fault = 'rate_limited' | 'server_error' | 'hang' | 'cut' | 'garbage';

export const simulatorDefaults: SimulatorSettings = {
  host: '127.0.0.1',
  port: 0,
  seed: 0,
  model: 'simulated',
  apiKey: null,
  failRate: 0.4,
  judgeAccuracy: 0.9,
  invalidRate: 0.02,
  refineRate: 0.4,
  unmarkedRate: 0.03,
  reasoning: 'none',
  usageMode: 'all',
  nMode: 'honoured',
  choicesMax: 128,
  contextTokens: 32_768,
  html: false,
  slots: null,
  whenFull: 'queue',
  queueMax: 100_000,
  latencyMs: 0,
  prefillMsPerToken: 0,
  decodeMsPerToken: 0,
  faults: { rate_limited: 0, server_error: 0, hang: 0, cut: 0, garbage: 0 },
  retryAfterMs: 1000,
  ledgerCallsMax: 2_000_000,
  bodyBytesMax: 64 * 2 ** 20,
  keepAliveMs: 75_000,
};

/** @throws UsageError that names the setting */
export function checkSettings(settings: SimulatorSettings): void {
  const { failRate, judgeAccuracy, invalidRate, refineRate, unmarkedRate, faults } = settings;
  const rates = { failRate, judgeAccuracy, invalidRate, refineRate, unmarkedRate, ...faults };
  for (const [name, rate] of Object.entries(rates)) {
    if (!(rate >= 0 && rate <= 1)) throw new UsageError(`${name} is ${rate}; expected 0 to 1`);
  }
  const together = Object.values(faults).reduce((sum, rate) => sum + rate, 0);
  // Five shares such as 0.1 and 0.7 need not add up to exactly 1.
  if (together > 1 + 1e-9) {
    throw new UsageError(`the rates of faults add up to ${together}; expected 1 at most`);
  }
  const { latencyMs, prefillMsPerToken, decodeMsPerToken, retryAfterMs } = settings;
  for (const [name, value] of Object.entries({
    latencyMs,
    prefillMsPerToken,
    decodeMsPerToken,
    retryAfterMs,
  })) {
    if (!(value >= 0 && Number.isFinite(value))) {
      throw new UsageError(`${name} is ${value}; expected a number from 0 on`);
    }
  }
  const { slots, ledgerCallsMax, contextTokens, choicesMax } = settings;
  for (const [name, value] of Object.entries({
    slots: slots ?? 1,
    ledgerCallsMax,
    contextTokens,
    choicesMax,
  })) {
    if (!(Number.isSafeInteger(value) && value >= 1)) {
      throw new UsageError(`${name} is ${value}; expected a whole number from 1 on`);
    }
  }
}
