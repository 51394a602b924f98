/**
 * What do the switches of `lean` save, and what do they cost? The same instructions go through the production runtime
 * with `faithful`, with each switch alone, and with `lean`, against a simulated batching server whose truth is known,
 * on virtual time.
 *
 *   node test/bench/tokens.ts [--prompts FILE] [--count 541] [--seeds 4] [--slots 256] [--accuracy 0.9] [--only 'NAME;NAME']
 *
 * FILE has an instruction a line, as `spar run` reads them; without it they are made up. Prints JSON: for each set of
 * switches the judge's generations, all generations and the tokens per accepted pair as the server counted them (those
 * of calls that were broken off too, as far as they got) and faithful's figures over its own; the share of chosen texts
 * that are truly good, and how far it is from faithful's, with its 95 % interval; whether negatives are spread over
 * responses and flaws as faithful's are (chi-square); how long a tree took; how long everything took.
 *
 * With `sample.first` a response's number says how many had passed before it, so negatives cannot be spread over the
 * numbers as faithful's are; what they are like must not differ.
 *
 * Differences and chi-squares are taken against faithful runs with other seeds (`reference`), since samples that share
 * their chances would look more alike than they are. Ratios are taken against the same seeds.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { flawOf, isGood } from '../../infra/simulator/texts.ts';
import { flaws } from '../../infra/simulator/phrases.ts';
import { rowIn } from '../../infra/codec/rows.ts';
import type { Home } from '../../infra/home/home.ts';
import { scan } from '../../infra/log/scan.ts';
import { lean } from '../../processors/settings.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { configOf, endpointOf, runWith } from '../run/support.ts';
import { batchingServer, type BatchingServer } from '../support/batching-server.ts';
import { memoryHome } from '../support/home.ts';
import { virtualTime } from '../support/virtual-time.ts';

const { values } = parseArgs({
  options: {
    prompts: { type: 'string' },
    count: { type: 'string', default: '541' },
    seeds: { type: 'string', default: '4' },
    slots: { type: 'string', default: '256' },
    accuracy: { type: 'string', default: '0.9' },
    only: { type: 'string' },
  },
});
const [count, seeds, slots] = [values.count, values.seeds, values.slots].map(Number) as [
  number,
  number,
  number,
];
const lines =
  values.prompts === undefined
    ? Array.from({ length: count }, (_, index) =>
        JSON.stringify({ id: `i${index}`, prompt: `Write ${index + 3} words about the sea.` }),
      )
    : readFileSync(values.prompts, 'utf8').trim().split('\n').slice(0, count);

interface Switches {
  readonly mode?: 'lean';
  readonly sample?: object;
  readonly judge?: object;
  readonly search?: object;
}

const { first_votes, lazy, parser, neutralise } = lean.judge;
const { first } = lean.sample;
const sets: Readonly<Record<string, Switches>> = {
  faithful: {},
  'judge.lazy': { judge: { lazy } },
  'judge.lazy, sample.first': { judge: { lazy }, sample: { first } },
  'judge.first_votes': { judge: { first_votes } },
  'judge.parser: strict': { judge: { parser } },
  'judge.neutralise': { judge: { neutralise } },
  'search.accept: first-unbeatable, wave 1': { search: { accept: 'first-unbeatable', wave: 1 } },
  'search.accept: first-sure, wave 1': { search: { accept: 'first-sure', wave: 1 } },
  'search.accept: first-sure, wave 3': { search: { accept: 'first-sure', wave: 3 } },
  'search.accept: first, wave 1': { search: { accept: 'first', wave: 1 } },
  'search.cancel, first-sure': { search: { accept: 'first-sure', cancel: true } },
  'search.cancel, first': { search: { accept: 'first', cancel: true } },
  lean: { mode: 'lean' },
  'lean, sample.first null': { mode: 'lean', sample: { first: null } },
  'lean, wave 3': { mode: 'lean', search: { wave: 3 } },
  'lean, wave null': { mode: 'lean', search: { wave: null } },
  'lean, first-unbeatable': { mode: 'lean', search: { accept: 'first-unbeatable' } },
  'lean, first': { mode: 'lean', search: { accept: 'first' } },
  'lean, best': { mode: 'lean', search: { accept: 'best', wave: null } },
};

const decodeMsPerToken = 20;
const prefillMsPerToken = 0.1;

/** What runs with the same switches came to, all seeds together. */
interface Measured {
  pairs: number;
  goodPairs: number;
  badRejected: number;
  judgeGenerations: number;
  generations: number;
  promptTokens: number;
  completionTokens: number;
  brokenOff: number;
  treeMs: number;
  trees: number;
  makespanMs: number;
  /** How many negatives each response and each flaw gave. */
  readonly byResponse: number[];
  readonly byFlaw: number[];
  /** By their number of sentences. */
  readonly byLength: number[];
  readonly negatives: Map<string, number>;
}

const empty = (): Measured => ({
  pairs: 0,
  goodPairs: 0,
  badRejected: 0,
  judgeGenerations: 0,
  generations: 0,
  promptTokens: 0,
  completionTokens: 0,
  brokenOff: 0,
  treeMs: 0,
  trees: 0,
  makespanMs: 0,
  byResponse: [0, 0, 0, 0, 0],
  byFlaw: Array.from({ length: flaws.length + 1 }, () => 0),
  byLength: Array.from({ length: 16 }, () => 0),
  negatives: new Map(),
});

async function runOnce(switches: Switches, seed: number, measured: Measured): Promise<void> {
  const time = virtualTime();
  const server = batchingServer({
    time,
    slots,
    whenFull: 'queue',
    decodeMsPerToken,
    prefillMsPerToken,
    truth: { seed, failRate: 0.4, refineRate: 0.4, judgeAccuracy: Number(values.accuracy) },
  });
  const home = await memoryHome(1, 'spar', { time });
  const maxInFlight = Math.round(slots * 1.5);
  const endpoint = endpointOf({
    maxInFlight,
    urls: ['batching'],
    model: 'batching',
    version: 'batching',
  });
  const config = configOf({ ...switches, seed, limits: { max_in_flight: maxInFlight } });
  await time.drive(
    runWith(home, server as never, lines, {
      time,
      endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
      config,
      progressMs: 60_000,
    }),
  );
  measured.makespanMs += time.monotonic();
  addCalls(server, measured);
  await addRecords(home, seed, measured);
  await home.close();
}

function addCalls(server: BatchingServer, measured: Measured): void {
  for (const call of server.calls) {
    const { purpose, n, ending, slotMs, promptTokens, cachedTokens } = call;
    if (purpose === 'probe' || slotMs === 0) continue;
    if (ending === 'aborted') measured.brokenOff++;
    const prefillMs = (promptTokens - cachedTokens) * prefillMsPerToken;
    measured.generations += n;
    if (purpose === 'judge') measured.judgeGenerations += n;
    measured.promptTokens += promptTokens;
    measured.completionTokens +=
      ending === 'aborted'
        ? Math.max(0, slotMs - prefillMs) / decodeMsPerToken
        : call.completionTokens;
  }
}

async function addRecords(home: Home, seed: number, measured: Measured): Promise<void> {
  const begun = new Map<string, number>();
  for await (const record of scan(home.log, nameOnLog('spar', topics.negatives))) {
    const negative = await rowIn(home, topics.negatives, record);
    if (!negative) continue;
    begun.set(negative.id, record.timestamp);
    const flaw = flawOf(negative.response);
    const which = flaw === null ? flaws.length : flaws.indexOf(flaw);
    measured.byResponse[negative.response_index] =
      (measured.byResponse[negative.response_index] ?? 0) + 1;
    measured.byFlaw[which] = (measured.byFlaw[which] ?? 0) + 1;
    const sentences = Math.min(15, negative.response.split(/[.!?]\s/).length);
    measured.byLength[sentences] = (measured.byLength[sentences] ?? 0) + 1;
    measured.negatives.set(`${seed}/${negative.id}`, negative.response_index);
  }
  for await (const record of scan(home.log, nameOnLog('spar', topics.pairs))) {
    const pair = await rowIn(home, topics.pairs, record);
    if (!pair) continue;
    measured.pairs++;
    if (isGood(pair.chosen)) measured.goodPairs++;
    if (!isGood(pair.rejected)) measured.badRejected++;
  }
  for await (const record of scan(home.log, nameOnLog('spar', topics.outcomes))) {
    const startMs = begun.get(record.key ?? '');
    if (startMs === undefined) continue;
    measured.trees++;
    measured.treeMs += record.timestamp - startMs;
  }
}

async function measure(switches: Switches, firstSeed: number): Promise<Measured> {
  const measured = empty();
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
    await runOnce(switches, seed, measured);
  }
  return measured;
}

/** The difference of two shares, and its 95 % interval (Agresti and Caffo: right for shares near 1, too). */
function difference(one: readonly [number, number], other: readonly [number, number]) {
  const share = ([hits, of]: readonly [number, number]) => (hits + 1) / (of + 2);
  const variance = (of: readonly [number, number]) => (share(of) * (1 - share(of))) / (of[1] + 2);
  const middle = share(one) - share(other);
  const half = 1.96 * Math.sqrt(variance(one) + variance(other));
  return {
    of: one[0] / one[1] - other[0] / other[1],
    from: middle - half,
    to: middle + half,
  };
}

/** Whether two samples are of one distribution (chi-square test of homogeneity). */
function homogeneity(one: readonly number[], other: readonly number[]) {
  const sum = (counts: readonly number[]) => counts.reduce((all, value) => all + value, 0);
  const [n, m] = [sum(one), sum(other)];
  let chiSquare = 0;
  let kinds = 0;
  for (const [index, a] of one.entries()) {
    const b = other[index] ?? 0;
    if (a + b === 0) continue;
    kinds++;
    for (const [seen, of] of [
      [a, n],
      [b, m],
    ] as const) {
      const expected = ((a + b) * of) / (n + m);
      chiSquare += (seen - expected) ** 2 / expected;
    }
  }
  return { chiSquare: rounded(chiSquare), p: rounded(chiSquareTail(chiSquare, kinds - 1)) };
}

/** P(X > x) for chi-square with `degrees`: by the recurrence from the cases of 1 and 2 degrees. */
function chiSquareTail(x: number, degrees: number): number {
  if (x <= 0 || degrees < 1) return 1;
  let term = Math.exp(-x / 2);
  let tail = degrees % 2 === 0 ? term : twoSidedNormal(Math.sqrt(x));
  let at = degrees % 2 === 0 ? 2 : 1;
  if (at === 1) term *= Math.sqrt((2 * x) / Math.PI);
  else term *= x / 2;
  for (; at < degrees; at += 2) {
    tail += term;
    term *= x / (at + 2);
  }
  return Math.min(1, tail);
}

/** P(|Z| > z), by Simpson's rule: good to more digits than are printed. */
function twoSidedNormal(z: number): number {
  if (z > 8) return 0;
  const steps = 2000;
  const density = (at: number) => Math.exp((-at * at) / 2) / Math.sqrt(2 * Math.PI);
  let area = density(0) + density(z);
  for (let step = 1; step < steps; step++) {
    area += density((z * step) / steps) * (step % 2 === 1 ? 4 : 2);
  }
  return Math.max(0, 1 - (2 * area * z) / steps / 3);
}

const rounded = (value: number, digits = 4): number => Number(value.toFixed(digits));

function described(measured: Measured, faithful: Measured, reference: Measured) {
  const perPair = (of: Measured, value: keyof Measured) => Number(of[value]) / of.pairs;
  const tokens = (of: Measured) => (of.promptTokens + of.completionTokens) / of.pairs;
  const same = [...measured.negatives].filter(
    ([id, index]) => faithful.negatives.get(id) === index,
  ).length;
  const quality = difference(
    [measured.goodPairs, measured.pairs],
    [reference.goodPairs, reference.pairs],
  );
  return {
    pairs: measured.pairs,
    perPair: {
      judgeGenerations: rounded(perPair(measured, 'judgeGenerations'), 2),
      generations: rounded(perPair(measured, 'generations'), 2),
      promptTokens: Math.round(perPair(measured, 'promptTokens')),
      completionTokens: Math.round(perPair(measured, 'completionTokens')),
      tokens: Math.round(tokens(measured)),
    },
    fewer: {
      judgeGenerations: rounded(
        perPair(faithful, 'judgeGenerations') / perPair(measured, 'judgeGenerations'),
        2,
      ),
      generations: rounded(perPair(faithful, 'generations') / perPair(measured, 'generations'), 2),
      completionTokens: rounded(
        perPair(faithful, 'completionTokens') / perPair(measured, 'completionTokens'),
        2,
      ),
      tokens: rounded(tokens(faithful) / tokens(measured), 2),
    },
    quality: {
      chosenGood: rounded(measured.goodPairs / measured.pairs),
      rejectedBad: rounded(measured.badRejected / measured.pairs),
      difference: rounded(quality.of),
      interval: [rounded(quality.from), rounded(quality.to)],
    },
    negatives: {
      sameAsFaithful: rounded(same / measured.negatives.size),
      byResponse: homogeneity(measured.byResponse, reference.byResponse),
      byFlaw: homogeneity(measured.byFlaw, reference.byFlaw),
      byLength: homogeneity(measured.byLength, reference.byLength),
    },
    brokenOff: measured.brokenOff,
    treeSeconds: rounded(measured.treeMs / measured.trees / 1000, 1),
    makespanSeconds: rounded(measured.makespanMs / seeds / 1000, 1),
  };
}

const reference = await measure({}, 1001);
const faithful = await measure({}, 1);
const wanted = values.only?.split(';');
const results: Record<string, object> = {};
for (const [name, switches] of Object.entries(sets)) {
  if (wanted && !wanted.includes(name)) continue;
  const measured = name === 'faithful' ? faithful : await measure(switches, 1);
  results[name] = described(measured, faithful, reference);
  process.stderr.write(`${name}: ${JSON.stringify(results[name])}\n`);
}
process.stdout.write(
  `${JSON.stringify({ instructions: lines.length, accuracy: Number(values.accuracy), seeds, slots, switches: results })}\n`,
);
