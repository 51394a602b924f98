/**
 * Is the model server kept busy, and in which order? The production code on a clock of its own against a simulated
 * server with continuous batching, faithful mode, with every order of calls that one may think of; beside it the
 * reference's driver. Nothing depends on the machine: two runs print the same; how long it really took goes to
 * standard error.
 *
 *   node test/bench/utilisation.ts [--prompts FILE] [--slots 64,256] [--in-flight 2.5] [--parts orders,limits,...]
 *
 * Without --prompts it makes 541 instructions up. Parts: `orders` (later-first as in production, first-in-first-out,
 * sample-first, the reference), `limits` (other limits of calls in flight), `affinity` (the cache, with the calls of a
 * node together and scattered), `replicas` (four of a quarter, alike and not), all by default; `drain` (orders that
 * hurry the last instructions, over eight truths) only when it is named.
 *
 * Prints JSON. Times are seconds of the simulated clock. `ratio` is the time over what no order can beat: the slot time
 * in all over the slots, or the longest chain of calls of one instruction where that is more. `utilisation` is the
 * share of slot time busy from the first moment in which all slots are until the last instruction is sampled.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CallQueue, type Turn } from '../../infra/model/queue.ts';
import type { Order } from '../../infra/runtime/order.ts';
import { randomOf } from '../../infra/simulator/random.ts';
import { simulatorDefaults } from '../../infra/simulator/settings.ts';
import type { BatchingServer } from '../support/batching-server.ts';
import { referenceRun } from '../support/reference-driver.ts';
import {
  busyBetween,
  mostOpen,
  simulatedRun,
  type SimulatedRun,
  type SimulatedRunOptions,
} from '../support/simulated-run.ts';

const { values } = parseArgs({
  options: {
    prompts: { type: 'string' },
    slots: { type: 'string', default: '64,256' },
    'in-flight': { type: 'string', default: '2.5' },
    parts: { type: 'string', default: 'orders,limits,affinity,replicas' },
  },
});
const usual = Number(values['in-flight']);
const parts = values.parts.split(',');
const lines =
  values.prompts === undefined
    ? Array.from({ length: 541 }, (_, index) =>
        JSON.stringify({ id: `i${index}`, prompt: `Write ${index + 20} words about the sea.` }),
      )
    : readFileSync(values.prompts, 'utf8')
        .split('\n')
        .filter((line) => line.trim() !== '');

/** More than there can be. */
const unbounded = 1_000_000;
const firstInFirstOut: Order = () => ({ rank: 0, order: 0 });
const sampleFirst: Order = (rank, admitted) => ({ rank: -rank, order: admitted });
/** Later stages first, but the last instructions are sampled, or hurried throughout, as soon as there are no others. */
const lastSampledFirst =
  (count: number): Order =>
  (rank, admitted) => ({
    rank: admitted >= lines.length - count && rank === sampleRank ? 0 : rank,
    order: admitted,
  });
const lastHurried =
  (count: number): Order =>
  (rank, admitted) => ({
    rank: admitted >= lines.length - count ? -rank : rank,
    order: admitted,
  });
const sampleRank = 6;

const sum = (numbers: readonly number[]): number => numbers.reduce((all, one) => all + one, 0);
const round = (number: number, digits = 3): number => Number(number.toFixed(digits));
const slotSeconds = (servers: readonly BatchingServer[]): number =>
  sum(servers.flatMap(({ calls }) => calls.map(({ slotMs }) => slotMs))) / 1000;

function cachedShare(servers: readonly BatchingServer[]): number {
  const calls = servers.flatMap((server) => server.calls);
  const cached = sum(calls.map(({ cachedTokens }) => cachedTokens));
  return cached / sum(calls.map(({ promptTokens }) => promptTokens));
}

/** From the first moment in which all slots are busy until the last instruction is sampled. */
function fullUntilDrain(servers: readonly BatchingServer[]): readonly [number, number] {
  const filled = servers.map(({ busy, slots }) => busy.find(([, count]) => count >= slots)?.[0]);
  const sampled = servers.flatMap(({ calls }) =>
    calls.flatMap(({ purpose, sentMs }) => (purpose === 'sample' ? [sentMs] : [])),
  );
  return [Math.max(...filled.map((ms) => ms ?? Infinity)), Math.max(...sampled)];
}

function utilisationOf(servers: readonly BatchingServer[]): number {
  const [fromMs, toMs] = fullUntilDrain(servers);
  // Never all at once: there is no such stretch, and JSON says null.
  if (fromMs >= toMs) return Number.NaN;
  const busyMs = sum(servers.map(({ busy }) => busyBetween(busy, fromMs, toMs)));
  return busyMs / (toMs - fromMs) / sum(servers.map(({ slots }) => slots));
}

function figuresOf({ servers, seconds, pairs, trees }: SimulatedRun, chain: number): object {
  const [fromMs, toMs] = fullUntilDrain(servers);
  const slots = sum(servers.map((server) => server.slots));
  const least = Math.max(slotSeconds(servers) / slots, chain);
  return {
    seconds: round(seconds),
    ratio: round(seconds / least),
    utilisation: round(utilisationOf(servers), 4),
    allSlotsFullAt: round(fromMs / 1000),
    lastInstructionAt: round(toMs / 1000),
    firstPair: round(pairs[0] ?? Infinity),
    fiftiethPair: round(pairs[49] ?? Infinity),
    pairs: pairs.length,
    openTreesMost: mostOpen(trees),
    calls: sum(servers.map(({ calls }) => calls.length)),
  };
}

const points = 200;
/** Busy slots in as many stretches of time as a plot has points. */
const seriesOf = ({ busy }: BatchingServer, seconds: number, untilSeconds: number): number[] =>
  Array.from({ length: points }, (_, index) => {
    const stretchMs = (untilSeconds * 1000) / points;
    if (index * stretchMs > seconds * 1000) return 0;
    return round(busyBetween(busy, index * stretchMs, (index + 1) * stretchMs) / stretchMs, 1);
  });

const simulate = (slots: number, change: Partial<SimulatedRunOptions> = {}) =>
  simulatedRun({ lines, slots, maxInFlight: Math.round(slots * usual), ...change });

/** With a slot for everyone nothing waits for anything but what it needs: what is left is the longest chain. */
const longestChain = async (): Promise<number> =>
  (await simulatedRun({ lines, slots: 100_000, maxInFlight: 100_000 })).seconds;

async function ordersAt(slots: number, chain: number): Promise<object> {
  const later = await simulate(slots);
  const others = {
    'first-in-first-out': await simulate(slots, { order: firstInFirstOut, openTrees: unbounded }),
    'sample-first': await simulate(slots, { order: sampleFirst, openTrees: unbounded }),
  };
  const reference = await referenceRun({ lines, slots });
  const referenceServer = [reference.server];
  const until = Math.max(later.seconds, reference.seconds);
  const series = (run: SimulatedRun) =>
    seriesOf(run.servers[0] as BatchingServer, run.seconds, until);
  return {
    'later-first': figuresOf(later, chain),
    ...Object.fromEntries(
      Object.entries(others).map(([name, run]) => [name, figuresOf(run, chain)]),
    ),
    reference: {
      seconds: round(reference.seconds),
      ratio: round(reference.seconds / Math.max(slotSeconds(referenceServer) / slots, chain)),
      utilisation: round(slotSeconds(referenceServer) / slots / reference.seconds, 4),
      scriptsEndedAt: {
        sample: round(reference.scripts.sample),
        judge: round(reference.scripts.judge),
        search: round(reference.scripts.search),
      },
      firstTreeAccepted: round(reference.accepted[0] ?? Infinity),
      firstUsablePair: round(reference.seconds),
      pairs: reference.accepted.length,
      calls: reference.server.calls.length,
    },
    against: {
      throughput: round(reference.seconds / later.seconds, 2),
      firstPair: round(reference.seconds / (later.pairs[0] ?? Infinity), 1),
      firstPairOfSampleFirst: round(
        (later.pairs[0] ?? Infinity) / (others['sample-first'].pairs[0] ?? Infinity),
      ),
    },
    series: {
      secondsPerPoint: round(until / points),
      busySlots: {
        'later-first': series(later),
        ...Object.fromEntries(Object.entries(others).map(([name, run]) => [name, series(run)])),
        reference: seriesOf(reference.server, reference.seconds, until),
      },
    },
  };
}

async function limitsAt(slots: number, chain: number): Promise<object> {
  const runs: Record<string, object> = {};
  for (const factor of [1, 1.25, 1.5, 2, 2.5, 4]) {
    const maxInFlight = Math.round(slots * factor);
    runs[`${factor} × slots`] = figuresOf(await simulate(slots, { maxInFlight }), chain);
  }
  return runs;
}

/** The queue with its calls of one stage in any order, for as long as `work` goes on. */
async function scattered<Result>(work: () => Promise<Result>): Promise<Result> {
  const random = randomOf('scattered');
  // What production never does has no setting. It is put back below.
  const acquire = Reflect.get<CallQueue, 'acquire'>(CallQueue.prototype, 'acquire');
  CallQueue.prototype.acquire = function (this: CallQueue, turn: Turn, places, signal) {
    return acquire.call(this, { ...turn, order: random() }, places, signal);
  };
  try {
    return await work();
  } finally {
    CallQueue.prototype.acquire = acquire;
  }
}

/** The share of prompt tokens that the server has cached. */
async function affinityAt(slots: number): Promise<object> {
  const shares: Record<string, object> = {};
  for (const cacheTokens of [500_000, 10_000]) {
    for (const maxChoices of [null, 1]) {
      const run = () => simulate(slots, { maxChoices, server: { cacheTokens } });
      const [together, apart] = [await run(), await scattered(run)];
      shares[`${maxChoices === null ? 'n honoured' : 'n = 1'}, cache of ${cacheTokens} tokens`] = {
        together: round(cachedShare(together.servers)),
        scattered: round(cachedShare(apart.servers)),
      };
    }
  }
  return shares;
}

async function replicasAt(slots: number, chain: number): Promise<object> {
  const quarter = slots / 4;
  const rows: Record<string, object> = {};
  const uneven = [0.5, 1, 1.25, 1.25].map((share) => share * quarter);
  for (const maxChoices of [null, 1]) {
    const asked = maxChoices === null ? 'n honoured' : 'n = 1';
    for (const [name, change] of Object.entries({
      'one server': {},
      'four alike': { replicas: 4 },
      [`four with ${uneven.join(', ')} slots`]: { replicas: 4, replicaSlots: uneven },
    })) {
      const run = await simulate(slots, { maxChoices, ...change });
      const cached = round(cachedShare(run.servers));
      rows[`${name}, ${asked}`] = { ...figuresOf(run, chain), cached };
    }
  }
  return rows;
}

/** Whether it pays to hurry the last instructions: the ratio over several truths, with its standard error. */
async function drainAt(slots: number): Promise<object> {
  const orders: Readonly<Record<string, Order | null>> = {
    'later-first': null,
    'last 32 sampled first': lastSampledFirst(32),
    'last 64 sampled first': lastSampledFirst(64),
    'last 32 hurried': lastHurried(32),
    'last 64 hurried': lastHurried(64),
    'first-in-first-out': firstInFirstOut,
  };
  const rows: Record<string, object> = {};
  for (const [name, order] of Object.entries(orders)) {
    const ratios: number[] = [];
    for (let seed = 1; seed <= 8; seed++) {
      const truth = { ...simulatorDefaults, seed };
      const run = await simulate(slots, { ...(order && { order }), server: { truth } });
      ratios.push((run.seconds * slots) / slotSeconds(run.servers));
    }
    const mean = sum(ratios) / ratios.length;
    const variance = sum(ratios.map((ratio) => (ratio - mean) ** 2)) / (ratios.length - 1);
    rows[name] = { ratio: round(mean), error: round(Math.sqrt(variance / ratios.length)) };
  }
  return rows;
}

const began = performance.now();
const chain = await longestChain();
const results: object[] = [];
for (const slots of values.slots.split(',').map(Number)) {
  results.push({
    slots,
    maxInFlight: Math.round(slots * usual),
    ...(parts.includes('orders') && { orders: await ordersAt(slots, chain) }),
    ...(parts.includes('limits') && { limits: await limitsAt(slots, chain) }),
    ...(parts.includes('affinity') && { affinity: await affinityAt(slots) }),
    ...(parts.includes('replicas') && { replicas: await replicasAt(slots, chain) }),
    ...(parts.includes('drain') && { drain: await drainAt(slots) }),
  });
}
process.stdout.write(
  `${JSON.stringify({ bench: 'utilisation', prompts: lines.length, longestChain: round(chain), results }, null, 2)}\n`,
);
process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1)} real seconds\n`);
