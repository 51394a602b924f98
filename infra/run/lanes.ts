import type { Role } from '../../processors/processor.ts';
import { roles, type ResolvedEndpoint } from '../config/settings.ts';
import { RunError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import { CallError, type Endpoint } from '../model/endpoint.ts';
import type { Lane, RoleLanes } from '../model/gateway.ts';
import type { Ledger } from '../model/ledger.ts';
import { retryPolicy, type RetrySettings } from '../model/policy.ts';
import { describe, knock, probe, readCapabilities, type Capabilities } from '../model/probe.ts';
import { AdaptiveLimiter, type Why } from '../model/limiter.ts';
import { watchingLoad } from '../model/load.ts';
import { CallQueue } from '../model/queue.ts';
import type { Time } from '../time.ts';

/** Opens the connection to one URL; tests hand in models that live in the process. */
export type Connect = (
  url: string,
  endpoint: ResolvedEndpoint,
) => Endpoint & { close(): Promise<void> };

/** Where each role is asked; one that nobody here asks has none. */
export type Endpoints = Readonly<Partial<Record<Role, ResolvedEndpoint>>>;

/** Every endpoint of a run, one lane per URL and model, and what each role uses. */
export interface Lanes {
  readonly roles: Readonly<Partial<Record<Role, RoleLanes>>>;
  readonly all: readonly Lane[];
  /**
   * Makes sure, once, that every endpoint answers, and finds out what it can do.
   *
   * @throws RunError in one sentence with the remedy
   */
  ready(signal: AbortSignal): Promise<readonly Readiness[]>;
  /** The least context of all endpoints; null while unknown. */
  readonly contextTokens: number | null;
  /** No call begins any more, and those that were sent, as the ledger has it, have a moment to be answered. */
  finish(ledger: Pick<Ledger, 'inFlight'>, withinMs: number): Promise<void>;
  close(): Promise<void>;
}

export interface Readiness {
  readonly url: string;
  readonly model: string;
  readonly capabilities: Capabilities;
  /** True if it was asked now, false if a stored answer was taken. */
  readonly fresh: boolean;
}

interface Entry {
  readonly lane: Lane;
  readonly model: string;
  /** The most that a call of any of its roles will ask for. */
  choicesWanted: number;
  readonly close: () => Promise<void>;
  contextTokens: number | null;
}

/** What is learnt is kept in the home, and counted. */
interface Kept {
  readonly journal: Journal;
  readonly ledger: Ledger;
  readonly iteration: string;
}

export function openLanes(
  endpoints: Endpoints,
  connect: Connect,
  retries: RetrySettings,
  /** How long a question to find out about an endpoint may take. */
  probeMs: number,
  time: Time,
  /** Told when the limit of an endpoint has changed, and why. */
  limitChanged: (url: string, limit: number, why: Why) => void = () => undefined,
): Lanes & { probeWith(journal: Journal, ledger: Ledger, iteration: string): void } {
  const entries = new Map<string, Entry>();
  let home: Kept | null = null;
  const laneOf = (url: string, endpoint: ResolvedEndpoint): Lane => {
    const key = keyOf(url, endpoint);
    const known = entries.get(key);
    if (known) {
      known.choicesWanted = Math.max(known.choicesWanted, endpoint.choicesWanted);
      known.contextTokens = least(known.contextTokens, endpoint.contextTokens);
      return known.lane;
    }
    const connection = connect(url, endpoint);
    const queue = new CallQueue(
      new AdaptiveLimiter({
        most: endpoint.maxInFlight,
        first: endpoint.firstInFlight,
        onChange: (limit, why) => limitChanged(url, limit, why),
      }),
    );
    const lane: Lane = {
      endpoint: watchingLoad(connection, queue, time),
      queue,
      policy: retryPolicy(retries, time, async (signal) => {
        const { usage } = await knock(connection, probeMs, signal);
        home?.ledger.count(home.iteration, {
          'calls.probe': 1,
          'generations.probe': 1,
          'tokens.prompt': usage?.prompt_tokens ?? 0,
          'tokens.completion': usage?.completion_tokens ?? 0,
        });
      }),
      choicesMax: 1,
      usageCoversAll: true,
    };
    entries.set(key, {
      lane,
      model: endpoint.model,
      choicesWanted: endpoint.choicesWanted,
      close: () => connection.close(),
      contextTokens: endpoint.contextTokens,
    });
    return lane;
  };
  const byRole = Object.fromEntries(
    roles.flatMap((role) => {
      const endpoint = endpoints[role];
      if (!endpoint) return [];
      const lanes = endpoint.urls.map((url) => laneOf(url, endpoint));
      const { version, price, deadlineMs, maxChoices } = endpoint;
      const asked = { lanes, version, price, deadlineMs, choicesMax: maxChoices ?? choicesMax };
      return [[role, asked]];
    }),
    // Every endpoint has a URL: the configuration was checked.
  ) as unknown as Lanes['roles'];

  let readiness: Promise<readonly Readiness[]> | null = null;
  const prepareAll = (signal: AbortSignal) =>
    Promise.all([...entries.values()].map((entry) => prepare(entry, home, probeMs, signal)));

  return {
    roles: byRole,
    all: [...entries.values()].map(({ lane }) => lane),
    ready: (signal) => (readiness ??= prepareAll(signal)),
    get contextTokens() {
      return [...entries.values()].map(({ contextTokens }) => contextTokens).reduce(least, null);
    },
    probeWith(journal, ledger, iteration) {
      home = { journal, ledger, iteration };
    },
    async finish(ledger, withinMs) {
      for (const { lane } of entries.values()) lane.queue.close();
      const deadline = time.monotonic() + withinMs;
      const waiting = () => Object.values(ledger.inFlight).some((calls) => calls > 0);
      while (waiting() && time.monotonic() < deadline) await time.sleep(20);
    },
    async close() {
      await Promise.all([...entries.values()].map(({ close }) => close()));
    },
  };
}

/** OpenAI's own bound on n is 128. */
const choicesMax = 128;

/** Of what is known. */
const least = (a: number | null, b: number | null): number | null =>
  a === null ? b : b === null ? a : Math.min(a, b);

const keyOf = (url: string, endpoint: ResolvedEndpoint): string =>
  JSON.stringify([url, endpoint.model, endpoint.apiKey, endpoint.extraBody]);

async function prepare(
  entry: Entry,
  home: Kept | null,
  probeMs: number,
  signal: AbortSignal,
): Promise<Readiness> {
  const { lane, model, choicesWanted } = entry;
  const url = lane.endpoint.name;
  const note = `probe ${url} ${model}`;
  try {
    const stored = readCapabilities(home?.journal.note(note) ?? null);
    const capabilities =
      stored &&
      stored.choices >= choicesWanted &&
      (await stillServes(lane.endpoint, model, probeMs, signal))
        ? stored
        : await probe(lane.endpoint, model, choicesWanted, probeMs, signal);
    const fresh = capabilities !== stored;
    if (fresh && home) {
      const { calls, generations, prompt_tokens, completion_tokens } = capabilities;
      home.ledger.count(home.iteration, {
        'calls.probe': calls,
        'generations.probe': generations,
        'tokens.prompt': prompt_tokens,
        'tokens.completion': completion_tokens,
      });
      await home.journal.setNote(note, JSON.stringify(capabilities));
    }
    // How many are asked for together changes the answers, so it does not follow the limit of calls in flight.
    lane.choicesMax = capabilities.n === 'honoured' ? Infinity : 1;
    lane.usageCoversAll = capabilities.usage_covers_all;
    entry.contextTokens ??= capabilities.context_tokens;
    return { url, model, capabilities, fresh };
  } catch (error) {
    if (!(error instanceof CallError)) throw error;
    const silent =
      `${url} takes the question and does not answer within ${probeMs} ms. Is the model still being loaded, or the ` +
      'server overloaded? Wait until it answers, or give it longer with limits.probe_ms.';
    throw new RunError(error.kind === 'timeout' ? silent : error.message, { cause: error });
  }
}

/** The cheap question before a run goes on with what it knows; a server without a list of models is trusted. */
async function stillServes(
  endpoint: Endpoint,
  model: string,
  probeMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const served = await endpoint.models(probeMs, signal);
  return served === null || served.length === 0 || served.some(({ id }) => id === model);
}

/** What a person should know before the run starts; empty if the endpoint does all we would like. */
export function remarksOn({ url, capabilities }: Readiness): readonly string[] {
  const { n, usage, usage_covers_all: covers } = capabilities;
  return [
    ...(n === 'honoured'
      ? []
      : [
          `${url} does not give several choices to one call (${describe(capabilities)}): each is asked for alone, and prompts are paid for as often; nothing else changes.`,
        ]),
    ...(usage && covers
      ? []
      : [`${url} does not report all its tokens: the missing ones are estimated and marked so.`]),
  ];
}
