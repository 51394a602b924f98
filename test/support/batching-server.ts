import {
  CallError,
  type Call,
  type CallAnswer,
  type Endpoint,
} from '../../infra/model/endpoint.ts';
import { choicesOf, promptTokensOf } from '../../infra/simulator/answer.ts';
import { nameOf, randomOf } from '../../infra/simulator/random.ts';
import { simulatorDefaults, type SimulatorSettings } from '../../infra/simulator/settings.ts';
import type { Time } from '../../infra/time.ts';

/** Tokens of an answer are drawn log-normally, as real ones are: a median, and the spread of the logarithm. */
export interface Lengths {
  readonly median: number;
  readonly sigma: number;
}

export interface BatchingServerOptions {
  readonly time: Time;
  /** Sequences that are generated at the same time; a request for n choices needs n, which start one by one. */
  readonly slots: number;
  /** What happens to a request beyond them: it waits in order of arrival, or is refused with 429. */
  readonly whenFull: 'queue' | 'refuse';
  /** Where they queue: sequences that may wait, as a share of the slots; a request with which it were more is refused. */
  readonly waitingShare?: number;
  /** Time for each token of the prompt that is not in the cache; the n choices of a request share it. */
  readonly prefillMsPerToken?: number;
  /** Time for each token of a choice. */
  readonly decodeMsPerToken?: number;
  /** Tokens of prompts that the server remembers, the latest ones. */
  readonly cacheTokens?: number;
  /** What refused requests are told to wait; null for nothing. */
  readonly retryAfterMs?: number | null;
  readonly lengths?: Readonly<Record<'sample' | 'judge' | 'refine', Lengths>>;
  /** What it says and how often it is right: those of `spar simulate`. */
  readonly truth?: Partial<SimulatorSettings>;
}

/** What became of one request. */
export interface ServedCall {
  readonly purpose: Call['purpose'];
  readonly n: number;
  readonly sentMs: number;
  /** When it was over, whichever way. */
  endedMs: number;
  ending: 'answered' | 'refused' | 'aborted' | 'open';
  readonly promptTokens: number;
  cachedTokens: number;
  completionTokens: number;
  /** Milliseconds of slots that it used. */
  slotMs: number;
}

export interface BatchingServer extends Endpoint {
  readonly calls: readonly ServedCall[];
  /** Busy slots from each moment on: [ms, slots], in order. */
  readonly busy: readonly (readonly [number, number])[];
  readonly waiting: number;
  readonly slots: number;
  /** Changes what it can do; sequences that are running go on. */
  setSlots(slots: number): void;
  close(): Promise<void>;
}

const usualLengths: Required<BatchingServerOptions>['lengths'] = {
  sample: { median: 350, sigma: 0.6 },
  judge: { median: 250, sigma: 0.4 },
  refine: { median: 500, sigma: 0.5 },
};

/** A prompt is remembered in pieces of as many characters. */
const block = 64;
const charactersPerToken = 4;

/**
 * A model server with continuous batching, on whatever clock it is given: sequences queue for slots, first come,
 * first served; each takes its prefill (what of its prompt is not cached) and its decoding, and a request is answered
 * when its slowest choice ends. What it says is what `spar simulate` says, so that the truth of every text is known.
 *
 * The rate of a slot does not depend on how many are busy: it is a model of queueing, not of an accelerator.
 */
export function batchingServer(options: BatchingServerOptions): BatchingServer {
  const { time, whenFull, lengths = usualLengths, retryAfterMs = null } = options;
  const waitingShare = whenFull === 'refuse' ? 0 : (options.waitingShare ?? Infinity);
  const { prefillMsPerToken = 0.1, decodeMsPerToken = 20, cacheTokens = 500_000 } = options;
  const truth = { ...simulatorDefaults, ...options.truth };
  const cache = new Set<string>();
  const waiting = new Set<Sequence>();
  const calls: ServedCall[] = [];
  const busySince: (readonly [number, number])[] = [[time.monotonic(), 0]];
  let slots = options.slots;
  let busy = 0;

  function note(change: number): void {
    busy += change;
    busySince.push([time.monotonic(), busy]);
  }

  function startWaiting(): void {
    for (const sequence of waiting) {
      if (busy >= slots) return;
      waiting.delete(sequence);
      note(1);
      sequence.start();
    }
  }

  /** Tokens of the prompt that are cached; all of it is from now on. */
  function remember(call: Call): number {
    const text = call.messages.map(({ role, content }) => `${role}\n${content}`).join('\n');
    let cached = 0;
    let name = '';
    for (let from = 0; from + block <= text.length; from += block) {
      name = nameOf(name, text.slice(from, from + block));
      // The latest stay: a set keeps the order in which they came.
      if (cache.delete(name) && cached === from) cached = from + block;
      cache.add(name);
    }
    for (const oldest of cache) {
      if (cache.size * (block / charactersPerToken) <= cacheTokens) break;
      cache.delete(oldest);
    }
    return Math.floor(cached / charactersPerToken);
  }

  async function generate(ms: number, entry: ServedCall, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const sequence: Sequence = { start: () => resolve(undefined) };
    const leave = () => {
      if (waiting.delete(sequence)) reject(signal.reason as Error);
    };
    signal.addEventListener('abort', leave, { once: true });
    waiting.add(sequence);
    startWaiting();
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
    const startedMs = time.monotonic();
    try {
      await time.sleep(ms, signal);
    } finally {
      entry.slotMs += time.monotonic() - startedMs;
      note(-1);
      startWaiting();
    }
  }

  return {
    name: 'batching',
    calls,
    busy: busySince,
    get waiting() {
      return waiting.size;
    },
    get slots() {
      return slots;
    },
    setSlots(now) {
      slots = now;
      startWaiting();
    },
    async send(call, signal): Promise<CallAnswer> {
      signal.throwIfAborted();
      const promptTokens = promptTokensOf(call.messages);
      const entry: ServedCall = {
        purpose: call.purpose,
        n: call.n,
        sentMs: time.monotonic(),
        endedMs: Infinity,
        ending: 'open',
        promptTokens,
        cachedTokens: 0,
        completionTokens: 0,
        slotMs: 0,
      };
      calls.push(entry);
      if (busy + waiting.size + call.n > slots * (1 + waitingShare)) {
        entry.ending = 'refused';
        entry.endedMs = time.monotonic();
        throw new CallError('rate-limited', 'batching refused for now (429: full)', {
          status: 429,
          retryAfterMs,
        });
      }
      entry.cachedTokens = remember(call);
      const { messages, seed, sampling } = call;
      const draw = { messages, seed, temperature: sampling.temperature };
      const said = choicesOf(
        truth,
        { ...draw, maxTokens: sampling.max_tokens, stop: sampling.stop },
        call.n,
      );
      const purpose = call.purpose === 'probe' ? null : call.purpose;
      const tokens = said.map((choice, index) =>
        purpose === null
          ? choice.tokens
          : lengthOf(lengths[purpose], randomOf('length', truth.seed, seed, index)),
      );
      const prefillMs = (promptTokens - entry.cachedTokens) * prefillMsPerToken;
      // Only the first of them waits for the prompt; the others find it there.
      const running = tokens.map((count, index) =>
        generate((index === 0 ? prefillMs : 0) + count * decodeMsPerToken, entry, signal),
      );
      try {
        await Promise.all(running);
      } catch (error) {
        await Promise.allSettled(running);
        entry.ending = 'aborted';
        entry.endedMs = time.monotonic();
        throw error;
      }
      entry.ending = 'answered';
      entry.endedMs = time.monotonic();
      entry.completionTokens = tokens.reduce((sum, count) => sum + count, 0);
      return {
        choices: said.map(({ content, reasoning, finishReason }) => ({
          content: content ?? '',
          reasoning,
          finish_reason: finishReason,
        })),
        usage: { prompt_tokens: promptTokens, completion_tokens: entry.completionTokens },
      };
    },
    models: () => Promise.resolve([{ id: 'batching', context_tokens: null }]),
    close: () => Promise.resolve(),
  };
}

interface Sequence {
  readonly start: () => void;
}

/** Box and Muller's normal deviate, from two numbers of the choice's own. */
function lengthOf({ median, sigma }: Lengths, random: () => number): number {
  const deviate = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  return Math.max(1, Math.round(median * Math.exp(sigma * deviate)));
}
