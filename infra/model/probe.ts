import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '../text.ts';
import { CallError, type Call, type CallAnswer, type Endpoint } from './endpoint.ts';

/** What an endpoint can do, found out once per URL and model and kept in the home. */
export interface Capabilities {
  /** `honoured`: n choices come, and differ; `ignored`, `refused` or `equal`: single calls are made instead. */
  readonly n: 'honoured' | 'ignored' | 'refused' | 'equal';
  /** Whether the reported usage covers all n choices. */
  readonly usage_covers_all: boolean;
  /** Whether any usage is reported. */
  readonly usage: boolean;
  readonly context_tokens: number | null;
  /** The n that was tried: a server may give two choices and refuse five, for want of slots. */
  readonly choices: number;
  /** Model calls that it took. */
  readonly calls: number;
  readonly generations: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

/** Long enough for choices to differ and to be cut at the same length, short enough to cost nothing. */
const maxTokens = 16;

/**
 * Asks the endpoint a small question with as many choices as a run will ask for, and with one if that fails.
 *
 * @param choices the largest n that will be asked for; 2 are tried at the least
 * @param deadlineMs how long each question may take
 * @throws CallError in one sentence with the remedy if the endpoint cannot be used at all
 */
export async function probe(
  endpoint: Endpoint,
  model: string,
  choices: number,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<Capabilities> {
  const tried = Math.max(2, choices);
  const served = await endpoint.models(deadlineMs, signal);
  const context = served?.find(({ id }) => id === model)?.context_tokens ?? null;
  const ask = (n: number): Promise<CallAnswer> => {
    const send = () => endpoint.send({ ...question, n, deadlineMs }, signal);
    return send().catch((error: unknown) => {
      if (!(error instanceof CallError) || !isPassing(error)) throw error;
      // One bad moment of the server is not what it can do.
      return send();
    });
  };
  try {
    const found = read(await ask(tried));
    return { ...found, context_tokens: context, choices: tried, calls: 1, generations: tried };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    // A server that cannot do n says so in its own ways: 400, 422, or fewer choices than asked for.
    if (error.kind !== 'rejected' && error.kind !== 'unusable') throw error;
    const single = await ask(1);
    return {
      ...read(single),
      n: error.kind === 'unusable' ? 'ignored' : 'refused',
      context_tokens: context,
      choices: tried,
      // The one that ignored n was answered, and paid for, too.
      calls: error.usage ? 2 : 1,
      generations: error.usage ? 2 : 1,
      prompt_tokens: (single.usage?.prompt_tokens ?? 0) + (error.usage?.prompt_tokens ?? 0),
      completion_tokens:
        (single.usage?.completion_tokens ?? 0) + (error.usage?.completion_tokens ?? 0),
    };
  }
}

/** The same small question for one choice: an endpoint that answers it is there. @throws CallError */
export const knock = (
  endpoint: Endpoint,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<CallAnswer> => endpoint.send({ ...question, n: 1, deadlineMs }, signal);

const question: Omit<Call, 'n' | 'deadlineMs'> = {
  purpose: 'probe',
  messages: [{ role: 'user', content: 'Write a few lines about any subject that you like.' }],
  sampling: { temperature: 1, top_p: 1, max_tokens: maxTokens, stop: [] },
  seed: 1,
};

function read({
  choices,
  usage,
}: CallAnswer): Omit<Capabilities, 'context_tokens' | 'choices' | 'calls' | 'generations'> {
  const [first, second] = choices;
  const generated = usage?.completion_tokens ?? 0;
  // Answers that were all cut at 16 tokens have 16 each; a server that says less counts one of them.
  const allCut = choices.every(({ finish_reason }) => finish_reason === 'length');
  const coversAll = !(second && allCut && generated < choices.length * maxTokens);
  return {
    n: second && isDeepStrictEqual(first, second) ? 'equal' : 'honoured',
    usage: usage !== null,
    usage_covers_all: coversAll,
    prompt_tokens: usage?.prompt_tokens ?? 0,
    completion_tokens: generated,
  };
}

/** Silence is none of them: a second one would only double it, and nobody is told anything meanwhile. */
const isPassing = ({ kind }: CallError): boolean =>
  kind === 'rate-limited' || kind === 'server-error' || kind === 'cut';

/** One line for people. */
export function describe(capabilities: Capabilities): string {
  const { n, usage, usage_covers_all: covers, context_tokens: context } = capabilities;
  return [
    n === 'honoured'
      ? 'several choices a call'
      : `one choice a call (n is ${n === 'equal' ? 'honoured, but a seed makes all choices equal' : n})`,
    usage ? (covers ? 'reports usage' : 'reports usage of one choice only') : 'reports no usage',
    context === null ? 'context unknown' : `context ${context} tokens`,
  ].join(', ');
}

/** What is stored is ours, but a home may be older than this version. */
export function readCapabilities(json: string | null): Capabilities | null {
  if (json === null) return null;
  try {
    const value = JSON.parse(json) as Partial<Capabilities>;
    return typeof value.n === 'string' && typeof value.choices === 'number'
      ? (value as Capabilities)
      : null;
  } catch (error) {
    throw new Error(`a stored probe does not parse: ${messageOf(error)}`, { cause: error });
  }
}
