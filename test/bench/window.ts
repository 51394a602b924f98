/**
 * Does the window carry thousands of records in flight, and what is asked again after a kill? One stage over the
 * embedded log, whose processor asks a model in the same process that takes about a second for an answer (half to one
 * and a half, by the record's seed).
 *
 *   node test/bench/window.ts [--in-flight 100,1000,4000,10000] [--latency 1000] [--seconds 8]
 *                             [--records 40000] [--kills 3]
 *
 * Prints JSON. For each number in flight (`limits.records`), in a process of its own: records per second, as a share of
 * what the latency allows; CPU microseconds of a record; resident memory. And for 4,000 in flight and so many records,
 * with so many SIGKILLs on the way: calls that were asked again, and outputs that are there twice,
 *
 * - if a commit holds the position alone,
 * - if it also holds the bitset of what is finished above it,
 * - if answers are journaled as well.
 */
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openHome, type Home } from '../../infra/home/home.ts';
import { createMemoryJournal } from '../../infra/journal/memory.ts';
import type { Journal } from '../../infra/journal/journal.ts';
import type { Log } from '../../infra/log/log.ts';
import { scan } from '../../infra/log/scan.ts';
import { silentLogger } from '../../infra/logger.ts';
import type { Endpoint } from '../../infra/model/endpoint.ts';
import { openIteration } from '../../infra/run/iteration.ts';
import { createContexts } from '../../infra/runtime/contexts.ts';
import { Runtime } from '../../infra/runtime/runtime.ts';
import { systemTime } from '../../infra/time.ts';
import type { Context } from '../../processors/processor.ts';
import { fullId } from '../../processors/rules/ids.ts';
import { noSavings } from '../../processors/rules/savings.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { Outcome, Responses } from '../../schemas/records.ts';
import { nameOnLog, step, type Dataflow } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { settingsWith } from '../support/script.ts';
import { openGateway } from './gateway.ts';
import { median, resultOf, rounded, startPart } from './parts.ts';

const { values } = parseArgs({
  options: {
    'in-flight': { type: 'string', default: '100,1000,4000,10000' },
    latency: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '8' },
    records: { type: 'string', default: '40000' },
    kills: { type: 'string', default: '3' },
    // For the parts, each in a process of its own.
    part: { type: 'string', default: 'all' },
    folder: { type: 'string', default: '' },
    keeps: { type: 'string', default: 'journal' },
  },
});
const latencyMs = Number(values.latency);
const pipeline = 'spar';
/** What survives a kill, besides the position. */
type Keeps = 'position' | 'bitset' | 'journal';

const recordOf = (index: number): Responses => ({
  id: fullId('1', `i${index}`),
  iteration: '1',
  instruction_id: `i${index}`,
  messages: [
    { role: 'user', content: `Write letter ${index}. ${'Mention the harbour. '.repeat(40)}` },
  ],
  constraints: [],
  judge_by: null,
  source: 'bench',
  extra: '{}',
  responses: [],
  given: false,
  actor_model: 'm',
  ...noSpend,
});

const outcomeOf = ({ id, iteration, instruction_id }: Responses): Outcome => ({
  ...{ id, iteration, instruction_id, tree: null, trees: 0 },
  ...{ outcome: 'all-passed', cause: null, revision: 0, evaluated: 0, ...noSpend, ...noSavings },
});

const flow: Dataflow = {
  judge: step(
    async (record: Responses, { model, settings, signal }: Context) => {
      const draws = { path: '0', round: 0, attempt: 0, count: 1 };
      const request = { role: 'judge' as const, messages: record.messages, draws };
      await model.ask({ ...request, sampling: settings.judge }, signal);
      note('used', record.messages);
      return { out: [outcomeOf(record)] };
    },
    { from: topics.responses, to: { out: topics.outcomes }, ends: 'instruction' },
  ),
};

/** What happened, where a kill leaves it. */
let notes: number | null = null;

function note(what: 'answered' | 'used', [message]: Responses['messages']): void {
  notes ??= openSync(join(values.folder, 'notes.txt'), 'a');
  writeSync(notes, `${what} ${message?.content.split('.')[0]}\n`);
}

/** Takes its time. */
function slowModel(): Endpoint {
  const answer = 'The tide took the letters. '.repeat(30);
  return {
    name: 'slow',
    async send({ seed, messages }, signal) {
      await systemTime.sleep(latencyMs * (0.5 + (seed % 1024) / 1024), signal);
      note('answered', messages);
      return {
        choices: [{ content: `${answer} ${seed}`, reasoning: null, finish_reason: 'stop' }],
        usage: { prompt_tokens: 200, completion_tokens: 200 },
      };
    },
    models: () => Promise.resolve(null),
  };
}

/** A log whose commits hold no bitset. */
const withoutBitset = (log: Log): Log => ({
  ...log,
  async subscribe(group, topic, subscriber) {
    const subscription = await log.subscribe(group, topic, subscriber);
    return {
      ...subscription,
      commit: (partition, transaction) =>
        subscription.commit(partition, { ...transaction, metadata: '' }),
    };
  },
});

function runtimeOn(home: Home, records: number, keeps: Keeps): Runtime {
  const journal: Journal = keeps === 'journal' ? home.journal : createMemoryJournal();
  const gateway = openGateway(slowModel(), journal);
  const log = keeps === 'position' ? withoutBitset(home.log) : home.log;
  const { serde } = home;
  return new Runtime({
    dataflow: flow,
    pipeline,
    iteration: '1',
    stages: ['judge'],
    log,
    serde,
    contexts: createContexts({
      ...{ pipeline, log, serde, gateway },
      ...{ time: systemTime, tableWaitMs: 1000 },
    }),
    limits: {
      ...{ records, bytes: 256 * 1024 * 1024, lingerMs: 20, transactionRecords: 500 },
      ...{ attempts: 3, retryFirstDelayMs: 10, retryMaxDelayMs: 1000, awayMs: 10_000 },
    },
    ...{
      sampleRecords: records,
      openTrees: 100_000,
      treesPerInstruction: 1,
      time: systemTime,
      logger: silentLogger,
    },
  });
}

const open = () => openHome({ folder: values.folder, pipeline, time: systemTime });

/** A home with so many records to do. */
async function fill(count: number): Promise<void> {
  const home = await open();
  await openIteration(home.log, home.serde, pipeline, settingsWith(), systemTime);
  const topic = nameOnLog(pipeline, topics.responses);
  for (let from = 0; from < count; from += 2000) {
    await home.log.append(
      Array.from({ length: Math.min(2000, count - from) }, (_, index) => {
        const record = recordOf(from + index);
        const value = home.serde.encode(topics.responses, record);
        return { topic, partition: 0, key: record.id, headers: { iteration: '1' }, value };
      }),
    );
  }
  await home.close();
}

interface Rate {
  readonly inFlight: number;
  readonly recordsPerSecond: number;
  readonly ofLatency: number;
  readonly cpuUsPerRecord: number;
  readonly rssMb: number;
}

/** In full swing, after two latencies. */
async function rate(inFlight: number): Promise<Rate> {
  const seconds = Number(values.seconds);
  await fill(Math.ceil(inFlight * (seconds + 5) * (1000 / latencyMs)));
  const home = await open();
  const runtime = runtimeOn(home, inFlight, 'journal');
  await runtime.start();
  await sleep(2 * latencyMs);
  const done = () => runtime.stats()[0]?.done ?? 0;
  const [first, since, cpu] = [done(), performance.now(), process.cpuUsage()];
  const rss: number[] = [];
  while (performance.now() < since + seconds * 1000) {
    rss.push(process.memoryUsage.rss() / 1e6);
    await sleep(100);
  }
  const records = done() - first;
  const { user, system } = process.cpuUsage(cpu);
  const perSecond = (records / (performance.now() - since)) * 1000;
  await runtime.stop();
  await home.close();
  return {
    inFlight,
    recordsPerSecond: rounded(perSecond),
    ofLatency: rounded(perSecond / (inFlight / (latencyMs / 1000)), 2),
    cpuUsPerRecord: rounded((user + system) / records),
    rssMb: rounded(median(rss)),
  };
}

/** Works until all is done. */
async function workOn(keeps: Keeps): Promise<object> {
  const home = await open();
  const runtime = runtimeOn(home, 4000, keeps);
  await runtime.start();
  await runtime.settled(new AbortController().signal);
  await runtime.stop();
  await home.close();
  return { ended: true };
}

interface Repeats {
  /** Calls that had been answered before; an answer that was being journaled when the process died is lost. */
  readonly answeredAskedAgain: number;
  /** Those whose answer a processor had seen. */
  readonly usedAskedAgain: number;
  readonly outputsTwice: number;
}

/** The notes of all processes, in order. */
function noted(): Omit<Repeats, 'outputsTwice'> & { readonly answered: number } {
  const file = join(values.folder, 'notes.txt');
  const [answered, used] = [new Set<string>(), new Set<string>()];
  let [answeredAskedAgain, usedAskedAgain] = [0, 0];
  for (const line of existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []) {
    const [what, ...rest] = line.split(' ');
    const call = rest.join(' ');
    if (what === 'used') {
      used.add(call);
      continue;
    }
    if (answered.has(call)) answeredAskedAgain++;
    if (used.has(call)) usedAskedAgain++;
    answered.add(call);
  }
  return { answered: answered.size, answeredAskedAgain, usedAskedAgain };
}

async function repeats(keeps: Keeps): Promise<Repeats> {
  const [records, kills] = [Number(values.records), Number(values.kills)];
  await fill(records);
  const args = ['--part', 'work', '--keeps', keeps, '--folder', values.folder];
  for (let kill = 1; kill <= kills; kill++) {
    const part = startPart('window.ts', [...args, '--latency', values.latency]);
    while (noted().answered < (records * kill) / (kills + 1)) await sleep(100);
    part.child.kill('SIGKILL');
    await part.ended;
  }
  await resultOf(startPart('window.ts', [...args, '--latency', values.latency]));
  const home = await open();
  const outputs: (string | null)[] = [];
  for await (const { key } of scan(home.log, nameOnLog(pipeline, topics.outcomes))) {
    outputs.push(key);
  }
  await home.close();
  if (new Set(outputs).size !== records) throw new Error('some records have no output');
  const { answeredAskedAgain, usedAskedAgain } = noted();
  const outputsTwice = outputs.length - new Set(outputs).size;
  return { answeredAskedAgain, usedAskedAgain, outputsTwice };
}

async function inFolder<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'spar-window-'));
  try {
    return await work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function all(): Promise<object> {
  const part = <Result>(name: string, more: readonly string[]): Promise<Result> =>
    inFolder(async (folder) => {
      const args = ['--part', name, '--folder', folder, '--latency', values.latency];
      const result = await resultOf<Result>(startPart('window.ts', [...args, ...more]));
      process.stderr.write(`${JSON.stringify(result)}\n`);
      return result;
    });
  const rates: Rate[] = [];
  for (const inFlight of values['in-flight'].split(',')) {
    rates.push(await part('rate', ['--in-flight', inFlight, '--seconds', values.seconds]));
  }
  const afterKills: Partial<Record<Keeps, Repeats>> = {};
  for (const keeps of ['position', 'bitset', 'journal'] as const) {
    const more = ['--keeps', keeps, '--records', values.records, '--kills', values.kills];
    afterKills[keeps] = await part('repeats', more);
  }
  const { records, kills } = values;
  return {
    bench: 'window',
    latencyMs,
    rates,
    afterKills: { records: Number(records), kills: Number(kills), inFlight: 4000, ...afterKills },
  };
}

const keeps = values.keeps as Keeps;
const parts: Readonly<Record<string, () => Promise<object>>> = {
  all,
  rate: () => rate(Number(values['in-flight'])),
  work: () => workOn(keeps),
  repeats: () => repeats(keeps),
};
const result = await (parts[values.part] ?? all)();
process.stdout.write(`${JSON.stringify(result, null, values.part === 'all' ? 2 : 0)}\n`);
