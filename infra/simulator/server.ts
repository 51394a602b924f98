import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';
import { systemTime, type Time } from '../time.ts';
import { choicesOf, roleOf, type Choice } from './answer.ts';
import { garbageFor, page } from './garbage.ts';
import {
  Ledger,
  type Ending,
  type LedgerCall,
  type LedgerRole,
  type LedgerSummary,
} from './ledger.ts';
import { nameOf, randomOf } from './random.ts';
import { readRequest, refusalOf, type ChatRequest, type Refusal } from './request.ts';
import {
  checkSettings,
  simulatorDefaults,
  type Fault,
  type SimulatorSettings,
} from './settings.ts';
import { Slots } from './slots.ts';

/** Connections that may be waiting to be taken: clients open thousands at the same time. */
const connectingMax = 8192;

/** A model server that is running. */
export interface Simulator {
  /** What to give as the model's URL; ends in /v1. */
  readonly url: string;
  readonly port: number;
  ledger(): SimulatorLedger;
  /** The single requests of the ledger, oldest first. */
  calls(): Iterable<Readonly<LedgerCall>>;
  /** Breaks off what is under way and leaves no connection and no timer behind. */
  close(): Promise<void>;
}

export interface SimulatorLedger extends LedgerSummary {
  readonly slots: { readonly busy: number; readonly waiting: number; readonly most_busy: number };
}

/**
 * Starts an OpenAI-compatible server whose model is simulated. What it answers is a function of the settings and
 * the request alone: never of the order of arrival, of other requests, or of time. Two things remember a request
 * that comes again: faults are drawn anew for each repetition, and a request without a seed gets another answer
 * each time.
 *
 * @throws UsageError if a setting is wrong or the port is taken
 */
export async function startSimulator(
  change: Partial<SimulatorSettings> = {},
  time: Time = systemTime,
): Promise<Simulator> {
  const settings = { ...simulatorDefaults, ...change };
  checkSettings(settings);
  const service = new Service(settings, time);
  const server = createServer(
    { keepAliveTimeout: settings.keepAliveMs, noDelay: true },
    (request, response) => void service.serve(request, response),
  );
  server.listen({ port: settings.port, host: settings.host, backlog: connectingMax });
  try {
    await once(server, 'listening');
  } catch (error) {
    throw new UsageError(
      `the simulator cannot listen on ${settings.host}:${settings.port} (${messageOf(error)}); choose another port`,
      { cause: error },
    );
  }
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : settings.port;
  const host = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
  return {
    url: `http://${host}:${port}/v1`,
    port,
    ledger: () => service.summary(),
    calls: () => service.ledger.calls(),
    async close() {
      if (!server.listening) return;
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

/** What is behind the server: one exchange after the other, and the ledger of all. */
class Service {
  readonly ledger: Ledger;
  readonly #settings: SimulatorSettings;
  readonly #time: Time;
  readonly #slots: Slots | null;

  constructor(settings: SimulatorSettings, time: Time) {
    this.#settings = settings;
    this.#time = time;
    this.ledger = new Ledger(settings.ledgerCallsMax);
    const waitingMax = settings.whenFull === 'queue' ? settings.queueMax : 0;
    this.#slots = settings.slots === null ? null : new Slots(settings.slots, waitingMax);
  }

  summary(): SimulatorLedger {
    const slots = this.#slots;
    return {
      ...this.ledger.summary(),
      slots: {
        busy: slots?.busy ?? 0,
        waiting: slots?.waiting ?? 0,
        most_busy: slots?.mostBusy ?? 0,
      },
    };
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      // So that `/health` and `/v1/health` are the same: who has the URL needs to cut nothing off.
      const path = (request.url ?? '/').replace(/\?.*$/s, '').replace(/^\/v1(?=\/)/, '');
      switch (`${request.method ?? ''} ${path}`) {
        case 'POST /chat/completions':
          await this.#chat(request, response);
          return;
        case 'GET /models':
          this.#models(request, response);
          return;
        case 'GET /health':
          send(response, 200, { status: 'ok' });
          return;
        case 'GET /ledger':
          send(response, 200, this.summary());
          return;
        case 'GET /ledger/calls':
          response.writeHead(200, { 'content-type': 'application/x-ndjson' });
          await pipeline(Readable.from(linesOf(this.ledger.calls())), response);
          return;
        default:
          request.resume();
          refuse(response, {
            status: 404,
            code: 'not_found',
            message: `There is no ${request.method ?? ''} ${path.slice(0, 200)} here.`,
          });
      }
    } catch (error) {
      // A client that has gone cannot be told anything.
      if (response.destroyed || response.closed) return;
      if (response.headersSent) response.destroy();
      else refuse(response, { status: 500, code: 'simulator', message: messageOf(error) });
    }
  }

  #models(request: IncomingMessage, response: ServerResponse): void {
    const { html, model, contextTokens } = this.#settings;
    const denied = this.#denied(request);
    if (html) sendText(response, 200, 'text/html', page('Welcome').body);
    else if (denied) refuse(response, denied);
    else {
      send(response, 200, {
        object: 'list',
        data: [{ id: model, object: 'model', owned_by: 'spar', max_model_len: contextTokens }],
      });
    }
  }

  async #chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const settings = this.#settings;
    const text = await bodyOf(request, settings.bodyBytesMax);
    const asked = text === null ? tooLong : readRequest(text);
    const { call, before } = this.#enter(request, asked, text ?? '');
    const end = new End(this.ledger, call, response, this.#time);
    if (settings.html) {
      end.will('refused', { status: 200 });
      sendText(response, 200, 'text/html', page('Welcome').body);
      return;
    }
    const refusal =
      this.#denied(request) ?? ('status' in asked ? asked : refusalOf(asked, settings));
    if (refusal || 'status' in asked) {
      const { status } = refusal ?? tooLong;
      end.will('refused', { status });
      refuse(response, refusal ?? tooLong);
      return;
    }
    await this.#answer(asked, call, before, end, response);
  }

  /** Every request has its line in the ledger, also one that cannot be read. */
  #enter(
    request: IncomingMessage,
    asked: ChatRequest | Refusal,
    text: string,
  ): ReturnType<Ledger['asked']> {
    const named = request.headers['x-spar-role'];
    const asked_at = this.#time.wall();
    if ('status' in asked) {
      const role = isRole(named) ? named : 'sample';
      const id = nameOf(role, text);
      const unread = { n: 1, seed: null, user: null, prompt_tokens: 0 };
      return this.ledger.asked({ id, role, asked_at, ...unread });
    }
    const { seed, n, user, promptTokens, ...others } = asked;
    const role = isRole(named) ? named : roleOf(asked.messages);
    const id = nameOf(role, seed, n, others);
    return this.ledger.asked({ id, role, n, seed, user, asked_at, prompt_tokens: promptTokens });
  }

  #denied({ headers }: IncomingMessage): Refusal | null {
    const { apiKey } = this.#settings;
    if (apiKey === null || headers.authorization === `Bearer ${apiKey}`) return null;
    return { status: 401, code: 'invalid_api_key', message: 'The API key is missing or wrong.' };
  }

  async #answer(
    request: ChatRequest,
    call: LedgerCall,
    before: number,
    end: End,
    response: ServerResponse,
  ): Promise<void> {
    const settings = this.#settings;
    const random = randomOf(settings.seed, 'fault', call.id, before);
    const fault = faultOf(settings.faults, random());
    const count = settings.nMode === 'ignored' ? 1 : request.n;
    if (fault === 'rate_limited' || fault === 'server_error') {
      const status = fault === 'rate_limited' ? 429 : 500;
      end.will(fault, { status });
      const message = 'A simulated fault.';
      refuse(response, { status, code: fault, message }, settings.retryAfterMs);
      return;
    }
    const release = await this.#slots?.acquire(count, end.gone);
    if (release === null) {
      end.will('full', { status: 429 });
      const message = 'All slots are busy.';
      refuse(response, { status: 429, code: 'full', message }, settings.retryAfterMs);
      return;
    }
    if (release) end.then(release);
    if (fault === 'hang') {
      end.will('hang', { status: null });
      return;
    }
    const seed = request.seed ?? `unseeded ${before}`;
    const choices = choicesOf(settings, { ...request, seed }, count);
    const delayMs =
      settings.latencyMs +
      request.promptTokens * settings.prefillMsPerToken +
      Math.max(...choices.map(({ tokens }) => tokens)) * settings.decodeMsPerToken;
    if (delayMs > 0) await this.#time.sleep(delayMs, end.gone);
    const usage = usageOf(settings, request, choices);
    const completion_tokens = totalOf(choices);
    if (fault === 'garbage') {
      const garbage = garbageFor(request.n, usage, random);
      end.will('garbage', { status: 200, ...(garbage.usage ? { completion_tokens } : {}) });
      sendText(response, 200, garbage.type, garbage.body);
      return;
    }
    const body = JSON.stringify({
      id: `chatcmpl-${call.id}`,
      object: 'chat.completion',
      // The same request gets the same bytes.
      created: 0,
      model: settings.model,
      choices: choices.map(({ content, reasoning, finishReason }, index) => ({
        index,
        message: {
          role: 'assistant',
          content,
          ...(reasoning === null ? {} : { reasoning_content: reasoning }),
        },
        finish_reason: finishReason,
      })),
      ...(usage ? { usage } : {}),
    });
    if (fault === 'cut') {
      end.will('cut', { status: 200 });
      sendHalf(response, body);
      return;
    }
    end.will('answered', { status: 200, generations: count, completion_tokens });
    sendText(response, 200, 'application/json', body);
  }
}

/**
 * The end of one exchange, whichever way it comes: when the answer has been sent in full, when the connection
 * closes, or when the client goes while its request still waits for something.
 */
class End {
  readonly #ledger: Ledger;
  readonly #call: LedgerCall;
  readonly #gone = new AbortController();
  readonly #response: ServerResponse;
  #ending: Ending | null = null;
  #details: Parameters<Ledger['ended']>[2] = {};

  constructor(ledger: Ledger, call: LedgerCall, response: ServerResponse, time: Time) {
    this.#ledger = ledger;
    this.#call = call;
    this.#response = response;
    response.once('finish', () => {
      const answered_at = time.wall();
      ledger.ended(call, this.#ending ?? 'gone', { ...this.#details, answered_at });
    });
    response.once('close', () => {
      this.#close();
    });
    // The client may have gone while its request was read.
    if (response.closed) this.#close();
  }

  /** Aborts when the client goes. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** How this will have ended, once what is sent has been sent. */
  will(ending: Ending, details: Parameters<Ledger['ended']>[2]): void {
    this.#ending = ending;
    this.#details = details;
  }

  /** Calls `last` when the exchange is over, at once if it is. */
  then(last: () => void): void {
    if (this.#response.closed) last();
    else this.#response.once('close', last);
  }

  #close(): void {
    const planned = this.#ending === 'hang' || this.#ending === 'cut';
    const { status = null } = this.#details ?? {};
    this.#ledger.ended(this.#call, planned && this.#ending ? this.#ending : 'gone', { status });
    this.#gone.abort(new Error('the client has gone'));
  }
}

const tooLong: Refusal = { status: 413, code: 'too_long', message: 'The request is too long.' };

/** The fault whose share of [0, 1) holds `chance`; null for the rest. */
function faultOf(faults: SimulatorSettings['faults'], chance: number): Fault | null {
  let upTo = 0;
  for (const [fault, rate] of Object.entries(faults) as [Fault, number][]) {
    upTo += rate;
    if (chance < upTo) return fault;
  }
  return null;
}

function usageOf(
  { usageMode }: SimulatorSettings,
  { promptTokens }: ChatRequest,
  choices: readonly Choice[],
) {
  if (usageMode === 'none') return undefined;
  const generated = totalOf(usageMode === 'one' ? choices.slice(0, 1) : choices);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: generated,
    total_tokens: promptTokens + generated,
  };
}

const totalOf = (choices: readonly Choice[]): number =>
  choices.reduce((sum, { tokens }) => sum + tokens, 0);

const isRole = (value: unknown): value is LedgerRole =>
  value === 'probe' || value === 'sample' || value === 'judge' || value === 'refine';

/** @returns null if it is longer than allowed; rejects if the client goes before its end */
function bodyOf(request: IncomingMessage, bytesMax: number): Promise<string | null> {
  const { promise, resolve, reject } = Promise.withResolvers<string | null>();
  const chunks: Buffer[] = [];
  let bytes = 0;
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    // The rest is read and thrown away: a client that is still sending hears no answer.
    if (bytes <= bytesMax) chunks.push(chunk);
    else chunks.length = 0;
  });
  request.once('end', () => {
    resolve(bytes > bytesMax ? null : Buffer.concat(chunks).toString());
  });
  request.once('error', reject);
  return promise;
}

function refuse(response: ServerResponse, refusal: Refusal, retryAfterMs?: number): void {
  const { status, code, message } = refusal;
  const type = status === 429 ? 'rate_limit_error' : status >= 500 ? 'server_error' : code;
  const headers: Record<string, string> = {};
  if (status === 429 && retryAfterMs !== undefined) {
    headers['retry-after'] = String(Math.ceil(retryAfterMs / 1000));
    headers['retry-after-ms'] = String(retryAfterMs);
  }
  const body = JSON.stringify({ error: { message, type, code, param: null } });
  sendText(response, status, 'application/json', body, headers);
}

const send = (response: ServerResponse, status: number, body: unknown): void =>
  sendText(response, status, 'application/json', JSON.stringify(body));

function sendText(
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const bytes = Buffer.from(body);
  response.writeHead(status, {
    'content-type': type,
    'content-length': bytes.length,
    ...headers,
  });
  response.end(bytes);
}

/** Half of a body whose whole length was announced, and then the connection breaks. */
function sendHalf(response: ServerResponse, body: string): void {
  const bytes = Buffer.from(body);
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length });
  response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy());
}

function* linesOf(calls: Iterable<LedgerCall>): Generator<string> {
  for (const call of calls) yield `${JSON.stringify(call)}\n`;
}
