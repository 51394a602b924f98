/**
 * Does the number of calls in flight find its way by itself? Keeps calls waiting at the production gateway, policy
 * and queue, before a simulated server with continuous batching, in simulated time; once with each of several fixed
 * limits, then with the limit that adapts, whose server first has all its slots, then half of them, then all again.
 *
 *   node test/bench/limits.ts [--slots 32,64,256,512] [--kinds queue,metrics,refuse,retry-after,bounded] [--most 2048] [--seconds 900] [--seed 0]
 *
 * Prints JSON. For each kind of server (it queues; it queues and tells so at /metrics; it refuses, without and
 * with Retry-After; it lets half as many wait as it runs, and refuses the others) and number of slots: every fixed limit with its throughput, latency and share of refusals, the best of
 * them, and for each phase of the adaptive limit the seconds until it does at least 95 % of what the best fixed limit
 * does for that many slots, and how it does in the phase's second half.
 */
import { parseArgs } from 'node:util';
import { checkConfig } from '../../infra/config/schema.ts';
import { createMemoryJournal } from '../../infra/journal/memory.ts';
import type { Endpoint } from '../../infra/model/endpoint.ts';
import { createGateway, type Lane } from '../../infra/model/gateway.ts';
import { createLedger } from '../../infra/model/ledger.ts';
import { AdaptiveLimiter, type Limiter } from '../../infra/model/limiter.ts';
import { watchingLoad } from '../../infra/model/load.ts';
import { retryPolicy } from '../../infra/model/policy.ts';
import { knock } from '../../infra/model/probe.ts';
import { CallQueue } from '../../infra/model/queue.ts';
import { retriesOf } from '../../infra/run/engine.ts';
import type { ModelRequest } from '../../processors/processor.ts';
import { batchingServer, type BatchingServer } from '../support/batching-server.ts';
import { virtualTime } from '../support/virtual-time.ts';

const { values } = parseArgs({
  options: {
    slots: { type: 'string', default: '32,64,256,512' },
    kinds: { type: 'string', default: 'queue,metrics,refuse,retry-after,bounded' },
    most: { type: 'string', default: '2048' },
    seconds: { type: 'string', default: '900' },
    seed: { type: 'string', default: '0' },
    trace: { type: 'boolean', default: false },
  },
});
type Kind = 'queue' | 'metrics' | 'refuse' | 'retry-after' | 'bounded';
const kinds = values.kinds.split(',') as Kind[];
const sizes = values.slots.split(',').map(Number);
const most = Number(values.most);
const phaseMs = Number(values.seconds) * 1000;
const config = checkConfig({});
if ('problems' in config) throw new Error('the defaults are no configuration');
const { limits, retries } = config.config;

/** Fixed limits that are tried, in slots of the server. */
const ratios = {
  queue: [1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 3],
  bounded: [1, 1.25, 1.5, 1.6, 1.7, 1.8, 1.9, 2],
  refuse: [0.9, 1, 1.1, 1.15, 1.2, 1.25, 1.3, 1.35, 1.375, 1.4],
};
/** Share of the best throughput at which a smaller fixed limit is the better one, since its calls take less long. */
const asGood = 0.99;
const enough = 0.95;
/** Over so long it must be enough from the first moment on. */
const sustainedMs = 30_000;
const refusedMax = 0.01;

/** Runs calls of a mix like that of a run, always more than any limit, until the time is over. */
async function keepFull(
  kind: Kind,
  slots: number,
  limiter: Limiter,
  untilMs: number,
  during: (
    server: BatchingServer,
    at: (ms: number) => Promise<void>,
    queue: CallQueue,
  ) => Promise<void>,
): Promise<BatchingServer> {
  const time = virtualTime();
  const refuses = kind === 'refuse' || kind === 'retry-after';
  const server = batchingServer({
    time,
    slots,
    whenFull: refuses ? 'refuse' : 'queue',
    waitingShare: kind === 'bounded' ? 0.5 : Infinity,
    retryAfterMs: kind === 'retry-after' ? 1000 : null,
  });
  const queue = new CallQueue(limiter);
  const telling: Endpoint = {
    ...server,
    load: () => {
      const [, running] = server.busy.at(-1) ?? [0, 0];
      return Promise.resolve({ running, waiting: server.waiting });
    },
  };
  const endpoint = kind === 'metrics' ? watchingLoad(telling, queue, time) : server;
  const lane: Lane = {
    endpoint,
    queue,
    policy: retryPolicy(retriesOf({ retries }), time, (signal) =>
      knock(server, limits.probe_ms, signal),
    ),
    choicesMax: Infinity,
    usageCoversAll: true,
  };
  const role = {
    lanes: [lane] as const,
    version: 'm',
    price: null,
    deadlineMs: limits.deadline_ms,
    choicesMax: 128,
  };
  const journal = createMemoryJournal();
  const gateway = createGateway(
    { actor: role, judge: role, refiner: role },
    journal,
    createLedger(journal),
    time,
    () => Promise.resolve(),
  );
  const end = new AbortController();
  const ask = async (number: number): Promise<void> => {
    const model = gateway.model(
      { pipeline: 'spar', iteration: '1', seed: 0, instruction: `i${number}`, stage: 'mix' },
      { actor: 'm', judge: 'm', refiner: 'm' },
      { rank: 0, order: number },
    );
    await model.ask(requestOf(number), end.signal);
  };
  let next = Number(values.seed) * 1_000_000;
  const asker = async () => {
    while (!end.signal.aborted) await ask(next++).catch(unlessEnded);
  };
  const unlessEnded = (error: unknown) => {
    if (!end.signal.aborted) throw error;
  };
  const askers = Array.from({ length: Math.ceil((1.2 * most) / placesMean) }, asker);
  const at = (ms: number) => time.sleep(ms - time.monotonic());
  const script = async () => {
    await during(server, at, queue);
    await at(untilMs);
    end.abort(new Error('the bench is over'));
    gateway.close();
    await Promise.all(askers);
  };
  await time.drive(script());
  return server;
}

/** One sample of 5, one judgement of 5 and one refinement in turn. */
const mix = [
  ['actor', 5],
  ['judge', 5],
  ['refiner', 1],
] as const;
const placesMean = mix.reduce((sum, [, n]) => sum + n, 0) / mix.length;

function requestOf(number: number): ModelRequest {
  const [role, count] = mix[number % mix.length] as (typeof mix)[number];
  const text = `Write ${number} lines about the sea, and let each of them begin with another word.\n`;
  return {
    role,
    messages: [{ role: 'user', content: text.repeat(role === 'actor' ? 2 : 12) }],
    sampling: { temperature: 0.7, top_p: 1, max_tokens: 2048, stop: [] },
    draws: { path: '0', round: 0, attempt: 0, count },
  };
}

interface Figures {
  readonly tokensPerSecond: number;
  /** Share of the slots that were busy. */
  readonly utilisation: number;
  readonly latencyMs: number;
  readonly refusedShare: number;
}

function figuresOf(server: BatchingServer, slots: number, fromMs: number, toMs: number): Figures {
  const inside = server.calls.filter(({ endedMs }) => endedMs >= fromMs && endedMs < toMs);
  const answered = inside.filter(({ ending }) => ending === 'answered');
  const refused = inside.filter(({ ending }) => ending === 'refused');
  const places = answered.reduce((sum, { n }) => sum + n, 0);
  const placeMs = answered.reduce((sum, { n, sentMs, endedMs }) => sum + n * (endedMs - sentMs), 0);
  const tokens = answered.reduce((sum, { completionTokens }) => sum + completionTokens, 0);
  return {
    tokensPerSecond: round((tokens / (toMs - fromMs)) * 1000, 1),
    utilisation: round(busyBetween(server)(fromMs, toMs) / slots, 4),
    latencyMs: Math.round(placeMs / places),
    refusedShare: round(refused.length / (refused.length + answered.length), 5),
  };
}

/** Mean number of busy slots between two moments: what the server generates, as its slots are equally fast. */
function busyBetween({ busy }: BatchingServer): (fromMs: number, toMs: number) => number {
  const sums = [0];
  for (const [index, [ms, slots]] of busy.entries()) {
    const until = busy[index + 1]?.[0] ?? ms;
    sums.push((sums[index] as number) + slots * (until - ms));
  }
  const upTo = (ms: number): number => {
    let [low, high] = [0, busy.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((busy[middle] as readonly [number, number])[0] <= ms) low = middle;
      else high = middle - 1;
    }
    const [since, slots] = busy[low] as readonly [number, number];
    return (sums[low] as number) + slots * (ms - since);
  };
  return (fromMs, toMs) => (upTo(toMs) - upTo(fromMs)) / (toMs - fromMs);
}

/** A limit that stays. */
const fixedLimiter = (limit: number): Limiter => ({
  limit,
  most: limit,
  answered: () => undefined,
  refused: () => undefined,
  observed: () => undefined,
});

const nothing = () => Promise.resolve();

const ratiosOf = (kind: Kind): readonly number[] =>
  kind === 'bounded'
    ? ratios.bounded
    : kind === 'queue' || kind === 'metrics'
      ? ratios.queue
      : ratios.refuse;

async function sweep(kind: Kind, slots: number) {
  const tried: (Figures & { readonly limit: number })[] = [];
  for (const ratio of ratiosOf(kind)) {
    const limit = Math.round(ratio * slots);
    const server = await keepFull(kind, slots, fixedLimiter(limit), phaseMs, nothing);
    tried.push({ limit, ...figuresOf(server, slots, phaseMs / 6, phaseMs) });
  }
  const throughput = ({ utilisation }: Figures) => utilisation;
  const within = tried.filter(({ refusedShare }) => refusedShare <= refusedMax);
  const highest = Math.max(...within.map(throughput));
  // The list goes up.
  const best = within.find((one) => throughput(one) >= asGood * highest) as (typeof tried)[number];
  return { tried, best, highestOfAll: Math.max(...tried.map(throughput)) };
}

const swept = new Map<string, ReturnType<typeof sweep>>();

/** What a server tells of its load makes no difference to a fixed limit. */
function sweepOnce(kind: Kind, slots: number): ReturnType<typeof sweep> {
  const asked = kind === 'metrics' ? 'queue' : kind;
  const known = swept.get(`${asked} ${slots}`) ?? sweep(asked, slots);
  swept.set(`${asked} ${slots}`, known);
  return known;
}

async function adaptive(kind: Kind, slots: number, bests: Readonly<Record<number, Figures>>) {
  const half = slots / 2;
  const limits = [slots, half, slots];
  const limiter = new AdaptiveLimiter({ most, first });
  const trace: (readonly number[])[] = [];
  const atEnd: number[] = [];
  const server = await keepFull(kind, slots, limiter, 3 * phaseMs, async (running, at, queue) => {
    for (const [index, now] of limits.entries()) {
      running.setSlots(now);
      for (let ms = index * phaseMs; ms < (index + 1) * phaseMs; ms += 5000) {
        await at(ms + 4999);
        const [, busy] = running.busy.at(-1) ?? [0, 0];
        if (values.trace) trace.push([(ms + 5000) / 1000, queue.limit, busy, running.waiting]);
      }
      atEnd.push(queue.limit);
    }
  });
  const busy = busyBetween(server);
  const phases = limits.map((now, index) => {
    const [startMs, endMs] = [index * phaseMs, (index + 1) * phaseMs];
    const best = bests[now] as Figures;
    const goal = enough * best.utilisation * now;
    let ms = startMs;
    const isEnough = (from: number) =>
      busy(from, from + sustainedMs) >= goal && busy(from, endMs) >= goal;
    while (ms + sustainedMs < endMs && !isEnough(ms)) ms += 500;
    const steady = figuresOf(server, now, startMs + phaseMs / 2, endMs);
    return {
      phase: ['cold start', 'slots halved', 'slots doubled'][index],
      slots: now,
      secondsToEnough: ms + sustainedMs < endMs ? (ms - startMs) / 1000 : null,
      limitAtEnd: atEnd[index],
      steady,
      throughputOfBest: round(steady.utilisation / best.utilisation, 3),
      latencyOfBest: round(steady.latencyMs / best.latencyMs, 2),
    };
  });
  return { phases, ...(values.trace && { trace }) };
}

const first = limits.first_in_flight;
const round = (value: number, digits: number) => Number(value.toFixed(digits));

const results = [];
for (const kind of kinds) {
  for (const slots of sizes) {
    const [whole, half] = [await sweepOnce(kind, slots), await sweepOnce(kind, slots / 2)];
    const found = await adaptive(kind, slots, { [slots]: whole.best, [slots / 2]: half.best });
    results.push({ server: kind, slots, fixed: whole, fixedOfHalf: half, ...found });
    for (const {
      phase,
      secondsToEnough,
      limitAtEnd,
      steady,
      throughputOfBest,
      latencyOfBest,
    } of found.phases)
      process.stderr.write(
        `${kind} ${slots} ${phase}: ${secondsToEnough} s, limit ${limitAtEnd}, throughput ${throughputOfBest}, ` +
          `latency ${latencyOfBest}, refused ${steady.refusedShare}\n`,
      );
  }
}
process.stdout.write(
  `${JSON.stringify({ bench: 'limits', most, first, phaseSeconds: phaseMs / 1000, results }, null, 2)}\n`,
);
