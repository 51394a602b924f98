import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { drawsOf } from './draws.ts';
import { Ledger, type LedgerCall, type LedgerSummary } from './ledger.ts';
import { defaultSimulatorSettings, type SimulatorSettings } from './settings.ts';
import { Slots } from './slots.ts';
import { roleOf, say, think } from './text.ts';

export interface Simulator {
  /** Up to and including `/v1`. */
  readonly url: string;
  readonly port: number;
  ledger(): LedgerSummary;
  /** Every call that is remembered, in order of arrival. */
  readonly calls: readonly LedgerCall[];
  close(): Promise<void>;
}

/**
 * A server that speaks OpenAI's chat completions and plays actor, judge and refiner, for demos and tests.
 *
 * An answer depends on the simulator's seed, the request's seed, its messages and the number of the choice: never
 * on the order in which requests arrive. A request without a seed gets one from a counter, so it draws anew.
 */
export async function startSimulator(changes: Partial<SimulatorSettings> = {}): Promise<Simulator> {
  const settings = { ...defaultSimulatorSettings, ...changes };
  const ledger = new Ledger(settings.ledgerCalls);
  const slots = new Slots(settings.slots);
  const closing = new AbortController();
  const state: State = {
    settings,
    ledger,
    slots,
    timesAsked: new Map(),
    unseeded: 0,
    closing: closing.signal,
  };
  const server = createServer((request, response) => {
    handle(request, response, state).catch((error: unknown) => {
      if (!response.headersSent) sendError(response, 500, 'internal', String(error));
      else response.destroy();
    });
  });
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(settings.port, settings.host, resolve);
  });
  // A TCP server has an address of this kind once it listens.
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${settings.host}:${port}/v1`,
    port,
    ledger: () => ledger.summary(),
    calls: ledger.calls,
    async close() {
      closing.abort();
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

interface State {
  readonly settings: SimulatorSettings;
  readonly ledger: Ledger;
  readonly slots: Slots;
  /** How often each request came, for faults that pass when it is tried again; cleared when it grows too large. */
  readonly timesAsked: Map<string, number>;
  unseeded: number;
  readonly closing: AbortSignal;
}

async function handle(
  request: IncomingMessage,
  response: ServerResponse,
  state: State,
): Promise<void> {
  const { settings, ledger } = state;
  const path = (request.url ?? '').split('?')[0];
  if (path === '/health') {
    sendJson(response, 200, { status: 'ok' });
    return;
  }
  if (path === '/ledger') {
    sendJson(response, 200, ledger.summary());
    return;
  }
  if (path === '/ledger/calls') {
    response.writeHead(200, { 'content-type': 'application/jsonl' });
    for (const call of ledger.calls) response.write(`${JSON.stringify(call)}\n`);
    response.end();
    return;
  }
  const body = await bodyOf(request);
  if (settings.html) {
    response.writeHead(200, { 'content-type': 'text/html' });
    response.end('<!doctype html><html><body>Welcome to this web server.</body></html>');
    return;
  }
  if (settings.apiKey !== null && request.headers.authorization !== `Bearer ${settings.apiKey}`) {
    sendError(response, 401, 'invalid_api_key', 'Incorrect API key provided.');
    return;
  }
  if (path === '/v1/models') {
    sendJson(response, 200, {
      object: 'list',
      data: [{ id: settings.model, object: 'model', max_model_len: settings.contextTokens }],
    });
    return;
  }
  if (path !== '/v1/chat/completions' || request.method !== 'POST') {
    sendError(response, 404, 'not_found', `There is no ${path}.`);
    return;
  }
  const asked = readRequest(body);
  if (!asked) sendError(response, 400, 'invalid_request_error', 'The body is no chat completion.');
  else if (asked.model !== settings.model) {
    sendError(response, 404, 'model_not_found', `The model ${asked.model} does not exist.`);
  } else await complete(request, response, asked, state);
}

interface Asked {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly n: number;
  readonly seed: number | null;
  readonly maxTokens: number;
  /** Of everything that was sent. */
  readonly id: string;
}

async function complete(
  request: IncomingMessage,
  response: ServerResponse,
  asked: Asked,
  state: State,
): Promise<void> {
  const { settings, ledger, slots } = state;
  const probing = request.headers['x-spar-role'] === 'probe';
  const call = ledger.ask(asked.id, probing ? 'probe' : roleOf(asked.messages), asked.n);
  const gone = new AbortController();
  response.once('close', () => {
    gone.abort();
    if (!response.writableFinished) ledger.end(call, 'gone');
  });
  const stop = AbortSignal.any([gone.signal, state.closing]);

  const promptTokens = tokensOf(asked.messages.map(({ content }) => content).join(''));
  if (promptTokens + asked.maxTokens > settings.contextTokens) {
    ledger.end(call, 'refused');
    const message = `This model's maximum context length is ${settings.contextTokens} tokens.`;
    sendError(response, 400, 'context_length_exceeded', message);
    return;
  }
  if (settings.n === 'refused' && asked.n > 1) {
    ledger.end(call, 'refused');
    sendError(response, 400, 'invalid_request_error', 'Only one completion choice is allowed.');
    return;
  }
  if (settings.whenFull === 'refuse' && !slots.hasRoomFor(asked.n)) {
    ledger.end(call, 'rate-limited');
    sendBusy(response, settings);
    return;
  }
  const release = await slots.take(asked.n, stop);
  ledger.busiest = Math.max(ledger.busiest, slots.busy);
  try {
    const fault = probing ? null : faultFor(asked, state);
    if (fault === 'hang') {
      await sleep(2 ** 31 - 1, undefined, { signal: stop }).catch(() => undefined);
      ledger.end(call, 'hang');
      response.destroy();
      return;
    }
    const choices = choicesFor(asked, call, state);
    call.prompt_tokens = promptTokens;
    call.completion_tokens = choices.reduce((sum, { tokens }) => sum + tokens, 0);
    const longest = Math.max(...choices.map(({ tokens }) => tokens));
    const delayMs =
      settings.latencyMs +
      settings.prefillMsPerToken * promptTokens +
      settings.decodeMsPerToken * longest;
    if (delayMs > 0) await sleep(delayMs, undefined, { signal: stop }).catch(() => undefined);
    if (stop.aborted) return;
    answer(response, asked, choices, fault, call, state);
  } finally {
    release();
  }
}

interface Choice {
  readonly content: string;
  readonly reasoning: string | null;
  readonly finish: 'stop' | 'length';
  readonly tokens: number;
}

function choicesFor(asked: Asked, call: LedgerCall, state: State): readonly Choice[] {
  const { settings } = state;
  const seed = asked.seed ?? `unseeded ${state.unseeded++}`;
  const messages = createHash('sha256').update(JSON.stringify(asked.messages)).digest('hex');
  const role = call.role === 'probe' ? 'sample' : call.role;
  const count = settings.n === 'ignored' ? 1 : asked.n;
  return Array.from({ length: count }, (_, index) => {
    const draws = drawsOf(settings.seed, seed, messages, index);
    const text = say(role, asked.messages, draws, settings);
    const thoughts = settings.reasoning === 'none' ? null : think(draws);
    const whole =
      settings.reasoning === 'think-tags' ? `<think>\n${thoughts}\n</think>\n\n${text}` : text;
    const tokens =
      tokensOf(whole) + (settings.reasoning === 'field' ? tokensOf(thoughts ?? '') : 0);
    const cut = tokens > asked.maxTokens;
    return {
      content: cut ? whole.slice(0, asked.maxTokens * charactersPerToken) : whole,
      reasoning: settings.reasoning === 'field' ? thoughts : null,
      finish: cut ? 'length' : 'stop',
      tokens: Math.min(tokens, asked.maxTokens),
    };
  });
}

type Fault = keyof SimulatorSettings['faults'];

/** A function of the request and of how often it came: not of the order, and another try may succeed. */
function faultFor(asked: Asked, { settings, timesAsked }: State): Fault | null {
  const { faults } = settings;
  if (Object.values(faults).every((rate) => rate === 0)) return null;
  const times = timesAsked.get(asked.id) ?? 0;
  if (timesAsked.size >= 1_000_000) timesAsked.clear();
  timesAsked.set(asked.id, times + 1);
  let draw = drawsOf(settings.seed, 'fault', asked.id, times).next();
  for (const name of ['rateLimited', 'serverError', 'hang', 'cut', 'garbage'] as const) {
    draw -= faults[name];
    if (draw < 0) return name;
  }
  return null;
}

/** Stands in every garbage text, so that a test can prove that none of it is used. */
export const garbageMarker = 'SIMULATED-GARBAGE';

function answer(
  response: ServerResponse,
  asked: Asked,
  choices: readonly Choice[],
  fault: Exclude<Fault, 'hang'> | null,
  call: LedgerCall,
  { settings, ledger }: State,
): void {
  switch (fault) {
    case 'rateLimited':
      ledger.end(call, 'rate-limited');
      sendBusy(response, settings);
      return;
    case 'serverError':
      ledger.end(call, 'server-error');
      sendError(response, 500, 'server_error', 'Something broke.');
      return;
    case null:
    case 'cut':
    case 'garbage':
  }
  const counted = settings.usage === 'one' ? (choices[0]?.tokens ?? 0) : call.completion_tokens;
  const body = {
    id: `chatcmpl-${asked.id.slice(0, 16)}`,
    object: 'chat.completion',
    created: 0,
    model: asked.model,
    choices: choices.map(({ content, reasoning, finish }, index) => ({
      index,
      message: {
        role: 'assistant',
        content,
        ...(reasoning !== null && { reasoning_content: reasoning }),
      },
      finish_reason: finish,
    })),
    ...(settings.usage !== 'none' && {
      usage: {
        prompt_tokens: call.prompt_tokens,
        completion_tokens: counted,
        total_tokens: call.prompt_tokens + counted,
      },
    }),
  };
  const json = JSON.stringify(body);
  if (fault === 'cut') {
    ledger.end(call, 'cut');
    response.writeHead(200, {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(json),
    });
    response.write(json.slice(0, json.length / 2), () => response.destroy());
    return;
  }
  if (fault === 'garbage') {
    ledger.end(call, 'garbage');
    sendGarbage(response, asked, settings);
    return;
  }
  response.once('finish', () => ledger.end(call, 'answered'));
  send(response, 200, 'application/json', json);
}

/** Five ways in which a body can be none. */
function sendGarbage(response: ServerResponse, asked: Asked, { seed }: SimulatorSettings): void {
  const message = { role: 'assistant', content: garbageMarker };
  const choice = { index: 0, message, finish_reason: 'stop' };
  const bodies: readonly [string, ...string[]] = [
    `{"choices": [{"message": {"content": "${garbageMarker}`,
    `<html><body>${garbageMarker}</body></html>`,
    JSON.stringify({ error: garbageMarker }),
    JSON.stringify({ choices: Array.from({ length: asked.n + 1 }, () => choice) }),
    JSON.stringify({ choices: [{ ...choice, message: { role: 'assistant', content: null } }] }),
  ];
  send(response, 200, 'application/json', drawsOf(seed, 'garbage', asked.id).pick(bodies));
}

function readRequest(body: string): Asked | null {
  try {
    const value = JSON.parse(body) as Record<string, unknown>;
    const { model, messages, n = 1, seed = null, max_tokens: maxTokens = 2048 } = value;
    if (typeof model !== 'string' || !Array.isArray(messages) || typeof n !== 'number') return null;
    return {
      model,
      messages: messages.map((message: unknown) => {
        const { role, content } = message as {
          readonly role?: unknown;
          readonly content?: unknown;
        };
        return { role: String(role), content: typeof content === 'string' ? content : '' };
      }),
      n: Math.max(1, Math.floor(n)),
      seed: typeof seed === 'number' ? seed : null,
      maxTokens: typeof maxTokens === 'number' ? maxTokens : 2048,
      id: createHash('sha256').update(body).digest('hex').slice(0, 32),
    };
  } catch {
    // Not JSON: the caller answers 400.
    return null;
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

const charactersPerToken = 4;
const tokensOf = (text: string): number => Math.ceil(text.length / charactersPerToken);

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

const sendJson = (response: ServerResponse, status: number, value: unknown): void =>
  send(response, status, 'application/json', JSON.stringify(value));

const sendError = (response: ServerResponse, status: number, code: string, message: string): void =>
  sendJson(response, status, { error: { message, type: code, code } });

function sendBusy(response: ServerResponse, { retryAfterSeconds }: SimulatorSettings): void {
  response.setHeader('retry-after', String(retryAfterSeconds));
  sendError(response, 429, 'rate_limit_exceeded', 'Too many requests.');
}
