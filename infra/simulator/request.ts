import { promptTokensOf, type ChatMessage, type Draw } from './answer.ts';
import type { SimulatorSettings } from './settings.ts';

/** A request for chat completions, as far as the simulator knows it. */
export interface ChatRequest extends Omit<Draw, 'seed'> {
  readonly model: string;
  readonly n: number;
  /** Null if the caller leaves it to chance. */
  readonly seed: number | null;
  /** OpenAI's `user`: on whose behalf it is asked; null if the caller does not say. */
  readonly user: string | null;
  readonly promptTokens: number;
}

/** Why a request is not served, in the words of OpenAI's API. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Parses a body at the edge; what the simulator does not know is ignored, as other servers do. */
export function readRequest(text: string): ChatRequest | Refusal {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return bad('The body is not JSON.');
  }
  if (!isObject(body)) return bad('The body is not an object.');
  const messages = readMessages(body['messages']);
  if (!messages) return bad('`messages` must be a list of { role, content }, one at least.');
  const { n, seed, temperature, max_tokens, max_completion_tokens, stop, model, user } = body;
  if (body['stream'] === true) return bad('This simulator does not stream; leave `stream` out.');
  const count = n ?? 1;
  if (!isCount(count)) return bad('`n` must be a whole number from 1 on.');
  const limit = max_tokens ?? max_completion_tokens ?? null;
  if (limit !== null && !isCount(limit)) {
    return bad('`max_tokens` must be a whole number from 1 on.');
  }
  if (seed !== undefined && seed !== null && !Number.isSafeInteger(seed)) {
    return bad('`seed` must be a whole number.');
  }
  const heat = temperature ?? 1;
  if (typeof heat !== 'number' || heat < 0) return bad('`temperature` must be a number from 0 on.');
  return {
    model: typeof model === 'string' ? model : '',
    messages,
    n: count,
    seed: typeof seed === 'number' ? seed : null,
    user: typeof user === 'string' ? user.slice(0, 100) : null,
    temperature: heat,
    maxTokens: limit,
    stop: [stop ?? []].flat().filter((mark) => typeof mark === 'string'),
    promptTokens: promptTokensOf(messages),
  };
}

/** What a server of these settings says no to; null if it serves the request. */
export function refusalOf(request: ChatRequest, settings: SimulatorSettings): Refusal | null {
  const { model, n, promptTokens, maxTokens } = request;
  if (model !== settings.model) {
    return {
      status: 404,
      code: 'model_not_found',
      message: `The model ${JSON.stringify(model.slice(0, 200))} does not exist; this server has ${JSON.stringify(settings.model)}.`,
    };
  }
  if (n > 1 && settings.nMode === 'refused') return bad('This server supports only n = 1.');
  if (n > settings.choicesMax) return bad(`\`n\` is ${n}; at most ${settings.choicesMax}.`);
  // vLLM counts what may be generated, too.
  const needed = promptTokens + (maxTokens ?? 1);
  if (needed > settings.contextTokens) {
    return {
      status: 400,
      code: 'context_length_exceeded',
      message: `This model's maximum context length is ${settings.contextTokens} tokens; ${promptTokens} of the prompt and ${maxTokens ?? 1} to generate are ${needed}.`,
    };
  }
  return null;
}

function readMessages(value: unknown): readonly ChatMessage[] | null {
  if (!Array.isArray(value) || value.length === 0) return null;
  const messages: ChatMessage[] = [];
  for (const message of value as readonly unknown[]) {
    if (!isObject(message) || typeof message['role'] !== 'string') return null;
    const content = contentOf(message['content']);
    if (content === null) return null;
    messages.push({ role: message['role'], content });
  }
  return messages;
}

/** A text, or the text parts of one. */
function contentOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (!Array.isArray(value)) return null;
  const parts = value.filter(isObject).map(({ text }) => (typeof text === 'string' ? text : ''));
  return parts.length === value.length ? parts.join('') : null;
}

const bad = (message: string): Refusal => ({ status: 400, code: 'invalid_request', message });

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 1;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
