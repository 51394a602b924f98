import OpenAI, {
  APIConnectionError,
  APIConnectionTimeoutError,
  APIError,
  APIUserAbortError,
} from 'openai';
import { Agent, fetch as undiciFetch } from 'undici';
import { oneLine, withoutSecrets } from '../text.ts';
import type { Load } from './limiter.ts';
import {
  CallError,
  type Call,
  type CallAnswer,
  type Endpoint,
  type RawChoice,
  type ServedModel,
  type Usage,
} from './endpoint.ts';

export interface OpenAiSettings {
  readonly url: string;
  readonly model: string;
  /** Null for servers that need none. */
  readonly apiKey: string | null;
  /** Merged into every request body, such as `top_k` or a server's own switches. */
  readonly extraBody: Readonly<Record<string, unknown>>;
  readonly maxConnections: number;
}

/** Any server that speaks OpenAI's chat completions. One request is one try: retries are the gateway's. */
export function openAiEndpoint(settings: OpenAiSettings): Endpoint & { close(): Promise<void> } {
  const pool = new Agent({
    connections: settings.maxConnections,
    // The SDK's deadline rules; undici's own hidden 300 s would cut long generations.
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
  });
  const client = new OpenAI({
    baseURL: settings.url,
    // Local servers need no key, but the SDK insists on one.
    apiKey: settings.apiKey ?? 'none',
    maxRetries: 0,
    logLevel: 'off',
    // undici's own fetch knows the pool; its types differ from the platform's in names only.
    fetch: ((url: string, init: object) =>
      undiciFetch(url, { ...init, dispatcher: pool })) as unknown as typeof globalThis.fetch,
  });

  return {
    name: settings.url,
    async send(call, signal) {
      const body = {
        ...settings.extraBody,
        model: settings.model,
        messages: call.messages.map(({ role, content }) => ({ role, content })),
        n: call.n,
        seed: call.seed,
        temperature: call.sampling.temperature,
        top_p: call.sampling.top_p,
        max_tokens: call.sampling.max_tokens,
        ...(call.sampling.stop.length > 0 ? { stop: [...call.sampling.stop] } : {}),
        stream: false as const,
      };
      try {
        const answer: unknown = await client.chat.completions.create(body, {
          signal,
          timeout: call.deadlineMs,
          headers: { 'x-spar-role': call.purpose },
        });
        return readAnswer(answer, call, settings);
      } catch (error) {
        throw callError(error, settings, call.deadlineMs, signal);
      }
    },
    async models(deadlineMs, signal) {
      try {
        const page: unknown = await client.models.list({ signal, timeout: deadlineMs });
        return readModels(page);
      } catch (error) {
        const failure = callError(error, settings, deadlineMs, signal);
        // Many servers have no such list, and it is not needed; only one that cannot be reached matters.
        if (failure instanceof CallError && ['rejected', 'unusable'].includes(failure.kind)) {
          return null;
        }
        if (failure instanceof CallError && failure.status === 404) return null;
        throw failure;
      }
    },
    async load(deadlineMs) {
      const url = new URL('/metrics', settings.url).href;
      const headers =
        settings.apiKey === null ? {} : { authorization: `Bearer ${settings.apiKey}` };
      const signal = AbortSignal.timeout(deadlineMs);
      const response = await undiciFetch(url, { dispatcher: pool, signal, headers });
      return response.ok ? readLoad(await textOf(response.body, metricsBytesMax)) : null;
    },
    close: () => pool.close(),
  };
}

/** Parses at the edge: the SDK hands on whatever JSON, or text, the server sent. */
function readAnswer(answer: unknown, call: Call, settings: OpenAiSettings): CallAnswer {
  const { url } = settings;
  if (!isObject(answer)) {
    throw new CallError(
      'unusable',
      `${url} answered something that is not a chat completion: ${excerpt(answer, settings)}. Is the URL right? It usually ends in /v1.`,
    );
  }
  const usage = readUsage(answer['usage']);
  const choices = answer['choices'];
  if (!Array.isArray(choices)) {
    throw new CallError(
      'unusable',
      `${url} answered without choices: ${excerpt(answer, settings)}`,
      {
        usage,
      },
    );
  }
  if (choices.length !== call.n) {
    throw new CallError(
      'unusable',
      `${url} answered ${choices.length} choices where ${call.n} were asked for`,
      { usage },
    );
  }
  const read = choices.map((choice: unknown) => readChoice(choice));
  if (read.includes(null)) {
    throw new CallError(
      'unusable',
      `${url} answered a choice without text: ${excerpt(answer, settings)}`,
      {
        usage,
      },
    );
  }
  return { choices: read.filter((choice) => choice !== null), usage };
}

function readChoice(choice: unknown): RawChoice | null {
  if (!isObject(choice) || !isObject(choice['message'])) return null;
  const { message, finish_reason } = choice;
  const reasoning = message['reasoning_content'] ?? message['reasoning'];
  const thoughts = typeof reasoning === 'string' && reasoning !== '' ? reasoning : null;
  // A reasoning model that was cut while it thought has said nothing yet.
  const silent = thoughts !== null || finish_reason === 'length';
  const content = message['content'] ?? (silent ? '' : null);
  if (typeof content !== 'string') return null;
  return {
    content: content.toWellFormed(),
    reasoning: thoughts?.toWellFormed() ?? null,
    finish_reason: typeof finish_reason === 'string' ? finish_reason : '',
  };
}

function readUsage(usage: unknown): Usage | null {
  if (!isObject(usage)) return null;
  const { prompt_tokens, completion_tokens } = usage;
  if (!Number.isSafeInteger(prompt_tokens) || !Number.isSafeInteger(completion_tokens)) return null;
  return { prompt_tokens: prompt_tokens as number, completion_tokens: completion_tokens as number };
}

function readModels(page: unknown): readonly ServedModel[] | null {
  if (!isObject(page) || !Array.isArray(page['data'])) return null;
  return page['data'].filter(isObject).flatMap((model) => {
    const { id, max_model_len: vllm, meta } = model;
    const llamaCpp = isObject(meta) ? meta['n_ctx_train'] : null;
    const context = [vllm, llamaCpp].find((value) => Number.isSafeInteger(value)) ?? null;
    return typeof id === 'string' ? [{ id, context_tokens: context as number | null }] : [];
  });
}

/** What `/metrics` says is small; more than this is something else. */
const metricsBytesMax = 4 * 1024 * 1024;

/** @returns what there is up to the bound; the rest is left where it is */
async function textOf(body: AsyncIterable<Uint8Array> | null, bytesMax: number): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body ?? []) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > bytesMax) break;
  }
  return Buffer.concat(pieces).toString();
}

/** vLLM's gauges, summed over the engines of a server; null where they are missing. */
export function readLoad(metrics: string): Load | null {
  const sumOf = (gauge: string): number | null => {
    const values = [...metrics.matchAll(new RegExp(`^${gauge}(?:\\{.*\\})? (\\S+)`, 'gm'))].map(
      ([, value]) => Number(value),
    );
    const isReadable = values.length > 0 && values.every((value) => value >= 0 && value < Infinity);
    return isReadable ? values.reduce((sum, value) => sum + value, 0) : null;
  };
  const running = sumOf('vllm:num_requests_running');
  const waiting = sumOf('vllm:num_requests_waiting');
  return running === null || waiting === null ? null : { running, waiting };
}

function callError(
  error: unknown,
  settings: OpenAiSettings,
  deadlineMs: number,
  signal: AbortSignal,
): unknown {
  if (error instanceof CallError) return error;
  const { url, model } = settings;
  if (error instanceof APIUserAbortError || signal.aborted) return signal.reason ?? error;
  if (error instanceof APIConnectionTimeoutError) {
    return new CallError('timeout', `${url} did not answer within ${deadlineMs} ms`, {
      cause: error,
    });
  }
  if (error instanceof APIConnectionError) {
    const reason = rootCause(error, settings);
    const unreachable =
      /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|CERT|SSL|bad port/i.test(reason);
    return new CallError(
      unreachable ? 'down' : 'cut',
      unreachable
        ? `${url} cannot be reached (${reason}). Is the model server running, and is the URL right?`
        : `${url} broke the connection off (${reason})`,
      { cause: error },
    );
  }
  if (isApiError(error)) {
    const status = typeof error.status === 'number' ? error.status : null;
    const said = wordsOf(error, settings);
    if (status === 401 || status === 403) {
      const what = status === 401 ? 'the API key' : 'the API key or what is asked';
      const remedy =
        settings.apiKey === null
          ? 'No key was given: set OPENAI_API_KEY, or api_key_env or api_key_file of the endpoint.'
          : 'Check the key and its rights.';
      return new CallError(
        status === 401 ? 'denied' : 'forbidden',
        `${url} refused ${what} (${status}: ${said}). ${remedy}`,
        { status, said, cause: error },
      );
    }
    if (status === 404) {
      return new CallError(
        'forbidden',
        `${url} does not know the model ${JSON.stringify(model)} or the path (404: ${said}). Check the model's name, and that the URL ends in /v1.`,
        { status, said, cause: error },
      );
    }
    if (status === 429) {
      return new CallError('rate-limited', `${url} refused for now (429: ${said})`, {
        status,
        said,
        retryAfterMs: retryAfterMs(error),
        cause: error,
      });
    }
    if (status === 408 || status === 409 || (status !== null && status >= 500)) {
      return new CallError('server-error', `${url} failed (${status}: ${said})`, {
        status,
        said,
        retryAfterMs: retryAfterMs(error),
        cause: error,
      });
    }
    const tooLong =
      error.code === 'context_length_exceeded' ||
      /context.{0,20}(length|size|window)|maximum context|too many tokens/i.test(error.message);
    return new CallError(
      tooLong ? 'context' : 'rejected',
      `${url} rejects the request (${status ?? 'no status'}: ${said})`,
      { status, said, cause: error },
    );
  }
  if (error instanceof SyntaxError) {
    return new CallError('unusable', `${url} answered JSON that does not parse`, { cause: error });
  }
  // A body that ends early surfaces as undici's TypeError("terminated").
  return new CallError('cut', `${url} broke the answer off (${rootCause(error, settings)})`, {
    cause: error,
  });
}

/** What the server said of its refusal; the SDK puts the status before it. */
function wordsOf({ message, status }: APIError, settings: OpenAiSettings): string {
  const words = message.replace(`${status} `, '');
  return words === 'status code (no body)' ? 'without a word' : excerpt(words, settings);
}

function retryAfterMs(error: APIError): number | null {
  const { headers } = error;
  const exact = Number(headers?.get('retry-after-ms') ?? Number.NaN);
  if (Number.isFinite(exact)) return exact;
  const header = headers?.get('retry-after');
  if (!header) return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return seconds * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - Date.now());
}

function rootCause(error: unknown, settings: OpenAiSettings): string {
  let deepest = error;
  while (deepest instanceof Error && deepest.cause instanceof Error) deepest = deepest.cause;
  if (!(deepest instanceof Error)) return excerpt(String(deepest), settings);
  const code = 'code' in deepest ? String(deepest.code) : '';
  return excerpt(
    code && !deepest.message.includes(code) ? `${code} ${deepest.message}` : deepest.message,
    settings,
  );
}

/** Servers say hostile things, and some repeat the key that they were sent. */
const excerpt = (value: unknown, { apiKey }: Pick<OpenAiSettings, 'apiKey'>): string =>
  oneLine(
    withoutSecrets(
      typeof value === 'string' ? value : JSON.stringify(value),
      apiKey === null ? [] : [apiKey],
    ),
  );

/** The SDK's class is generic over `any`; this keeps its fields typed. */
const isApiError = (error: unknown): error is APIError => error instanceof APIError;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
