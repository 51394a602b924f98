/**
 * What does the runtime cost on top of asking? One worker process with the whole dataflow (embedded log and journal
 * on the disk) against a bare loop that sends the same bodies with the same `openai` client over the same `fetch` to
 * the same server, which answers at once; and against undici without that client.
 *
 *   node test/bench/overhead.ts [--instructions 2000] [--rounds 3] [--concurrency 64] [--memory]
 *
 * Prints JSON: calls per second and CPU microseconds per call of each side, in a process of its own, medians over
 * alternating rounds; the worker's records per second; and the ratios. The server takes part of the same cores, so
 * that the ratio of CPU is the steadier figure.
 *
 * With --memory instead: resident memory of the worker and of the loop with 4,000 calls in flight that take 10 s each,
 * and what of it is JavaScript's heap. Neither has more calls at the server, and all of the loop's ask for 5 choices, as
 * nearly all of the worker's do in that time; the median of the choices in flight says so of both.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import OpenAI from 'openai';
import { Agent, fetch as undiciFetch, request } from 'undici';
import { openHome } from '../../infra/home/home.ts';
import type { Call } from '../../infra/model/endpoint.ts';
import { openAiEndpoint } from '../../infra/model/openai.ts';
import { systemTime } from '../../infra/time.ts';
import { configOf, endpointOf, runWith, sourceOf } from '../run/support.ts';
import { instantModel } from '../support/model.ts';
import { median, resultOf, rounded, startPart, startServer } from './parts.ts';

const { values } = parseArgs({
  options: {
    instructions: { type: 'string', default: '2000' },
    rounds: { type: 'string', default: '3' },
    concurrency: { type: 'string', default: '64' },
    memory: { type: 'boolean', default: false },
    // For the parts, each in a process of its own.
    part: { type: 'string', default: 'all' },
    url: { type: 'string', default: '' },
    /** Where the bodies are kept. */
    bodies: { type: 'string', default: '' },
    record: { type: 'boolean', default: false },
    calls: { type: 'string', default: '0' },
    /** How long a part that is not over by itself goes on. */
    seconds: { type: 'string', default: '0' },
    places: { type: 'string', default: '0' },
    /** Calls that the worker may have at the server, however few choices they ask for; any number if 0. */
    'calls-most': { type: 'string', default: '0' },
    /** Of the bodies, only those that ask for so many choices; all if 0. */
    choices: { type: 'string', default: '0' },
  },
});

/** How a part stands at a moment. */
interface Snapshot {
  readonly ms: number;
  readonly cpuUs: number;
  readonly calls: number;
  readonly records: number;
  readonly inFlight: number;
  /** That the calls in flight ask for. */
  readonly choices: number;
  readonly rssMb: number;
  /** Used, of the main thread. */
  readonly heapMb: number;
}

interface Measured {
  readonly calls: number;
  readonly callsPerSecond: number;
  readonly cpuUsPerCall: number;
  readonly recordsPerSecond: number;
  /** While it was in full swing. */
  readonly inFlight: number;
  readonly choices: number;
  /** At the most. */
  readonly rssMb: number;
  readonly heapMb: number;
}

type Body = Pick<OpenAI.ChatCompletionCreateParamsNonStreaming, 'messages' | 'model' | 'n'>;
type Recorded = readonly { readonly purpose: string; readonly body: Body }[];

function snapshot(counts: Pick<Snapshot, 'calls' | 'records' | 'inFlight' | 'choices'>): Snapshot {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    ...counts,
    ms: performance.now(),
    cpuUs: user + system,
    rssMb: rss / 1e6,
    heapMb: heapUsed / 1e6,
  };
}

/** What went on once the code was warm, which takes some 10,000 calls: over the second half of them, or of the time. */
function measured(snapshots: readonly Snapshot[], of: 'calls' | 'ms' = 'calls'): Measured {
  const [begin, last] = [snapshots[0], snapshots.at(-1)];
  const half = ((begin?.[of] ?? 0) + (last?.[of] ?? 0)) / 2;
  const first = snapshots.find((one) => one[of] >= half);
  if (!first || !last || first === last) throw new Error('too short to be measured');
  const calls = last.calls - first.calls;
  const seconds = (last.ms - first.ms) / 1000;
  const between = snapshots.slice(snapshots.indexOf(first));
  return {
    calls: last.calls,
    callsPerSecond: calls / seconds,
    cpuUsPerCall: (last.cpuUs - first.cpuUs) / calls,
    recordsPerSecond: (last.records - first.records) / seconds,
    inFlight: median(between.map(({ inFlight }) => inFlight)),
    choices: median(between.map(({ choices }) => choices)),
    rssMb: Math.max(...between.map(({ rssMb }) => rssMb)),
    heapMb: Math.max(...between.map(({ heapMb }) => heapMb)),
  };
}

function* lines(count: number): Generator<string> {
  const details = 'Mention the harbour, the weather and one person by name. '.repeat(8);
  for (let index = 0; index < count; index++) {
    yield JSON.stringify({ id: `i${index}`, prompt: `Write letter ${index}. ${details}` });
  }
}

/** The whole dataflow, as `spar run` runs it. */
async function worker(): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), 'spar-overhead-'));
  const recorded: { purpose: string; body: Body }[] = [];
  let [inFlight, choices, answered] = [0, 0, 0];
  const turns = turnsFor(Number(values['calls-most']) || Infinity);
  const places = Number(values.places) || 5 * Number(values.concurrency);
  const connection = openAiEndpoint({
    url: values.url,
    model: 'bench',
    apiKey: null,
    extraBody: {},
    maxConnections: places,
  });
  const send = async (call: Call, signal: AbortSignal) => {
    if (values.record) recorded.push({ purpose: call.purpose, body: bodyOf(call) });
    await turns.take();
    inFlight++;
    choices += call.n;
    try {
      return await connection.send(call, signal);
    } finally {
      inFlight--;
      choices -= call.n;
      answered++;
      turns.give();
    }
  };
  const endpoint = endpointOf({
    urls: [values.url],
    model: 'bench',
    version: 'bench',
    maxInFlight: places,
    // The bench is about calls in flight, not about how their limit is found.
    firstInFlight: places,
  });
  const snapshots: Snapshot[] = [];
  const stop = new AbortController();
  const seconds = Number(values.seconds);
  const timer = seconds > 0 ? setTimeout(() => stop.abort(), seconds * 1000) : null;
  try {
    const home = await openHome({ folder, pipeline: 'spar', time: systemTime });
    await runWith(home, instantModel({ failRate: 0, refineRate: 0 }), [], {
      source: sourceOf(lines(Number(values.instructions))),
      config: configOf({ limits: { shutdown_ms: 0 } }),
      endpoints: { actor: endpoint, judge: endpoint, refiner: endpoint },
      connect: () => ({ ...connection, send }),
      progressMs: 100,
      progress: ({ stages }) => {
        const records = stages.reduce((sum, { done }) => sum + done, 0);
        snapshots.push(snapshot({ calls: answered, records, inFlight, choices }));
      },
      stop: stop.signal,
    });
    await home.close();
  } finally {
    if (timer) clearTimeout(timer);
    rmSync(folder, { recursive: true, force: true });
  }
  if (values.record) writeFileSync(values.bodies, JSON.stringify(recorded));
  return measured(snapshots, seconds > 0 ? 'ms' : 'calls');
}

/** So many at a time, in the order in which they ask. */
function turnsFor(most: number): { take(): Promise<void>; give(): void } {
  const waiting: (() => void)[] = [];
  let taken = 0;
  return {
    async take() {
      if (taken < most) taken++;
      else await new Promise<void>((resolve) => waiting.push(resolve));
    },
    give() {
      const next = waiting.shift();
      if (next) next();
      else taken--;
    },
  };
}

function bodyOf({ messages, n, seed, sampling }: Call): Body {
  const { temperature, top_p, max_tokens, stop } = sampling;
  return {
    model: 'bench',
    messages: messages.map(({ role, content }) => ({ role, content })),
    n,
    ...{ seed, temperature, top_p, max_tokens },
    ...(stop.length > 0 && { stop: [...stop] }),
  };
}

/** Asks for the recorded bodies, one after the other, so many at a time. */
async function loop(ask: (purpose: string, body: Body) => Promise<unknown>): Promise<Measured> {
  const only = Number(values.choices);
  const bodies = (JSON.parse(readFileSync(values.bodies, 'utf8')) as Recorded).filter(
    ({ body }) => only === 0 || body.n === only,
  );
  const [count, seconds] = [Number(values.calls), Number(values.seconds)];
  const concurrency = Number(values.concurrency);
  const snapshots: Snapshot[] = [];
  let [next, inFlight, choices, answered] = [0, 0, 0, 0];
  const note = () => snapshots.push(snapshot({ calls: answered, records: 0, inFlight, choices }));
  const timer = setInterval(note, 100);
  const deadline = seconds > 0 ? performance.now() + seconds * 1000 : Infinity;
  const one = async () => {
    while (next < (count || Infinity) && performance.now() < deadline) {
      const { purpose, body } = bodies[next++ % bodies.length] as Recorded[number];
      const n = body.n ?? 1;
      inFlight++;
      choices += n;
      await ask(purpose, body);
      inFlight--;
      choices -= n;
      answered++;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, one));
  clearInterval(timer);
  if (seconds === 0) note();
  return measured(snapshots, seconds > 0 ? 'ms' : 'calls');
}

/** The pool as `infra/model/openai.ts` makes it. */
const pool = () =>
  new Agent({
    connections: Number(values.concurrency),
    headersTimeout: 0,
    bodyTimeout: 0,
    keepAliveTimeout: 4_000,
  });

async function bareClient(): Promise<Measured> {
  const agent = pool();
  const client = new OpenAI({
    baseURL: values.url,
    apiKey: 'none',
    maxRetries: 0,
    logLevel: 'off',
    fetch: ((url: string, init: object) =>
      undiciFetch(url, { ...init, dispatcher: agent })) as unknown as typeof globalThis.fetch,
  });
  const result = await loop(async (purpose, body) => {
    const { choices } = await client.chat.completions.create(
      { ...body, stream: false },
      { headers: { 'x-spar-role': purpose } },
    );
    if (choices.length !== body.n) throw new Error('the server answered something else');
  });
  await agent.close();
  return result;
}

async function bareUndici(): Promise<Measured> {
  const agent = pool();
  const url = `${values.url}/chat/completions`;
  const result = await loop(async (purpose, body) => {
    const answer = await request(url, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-spar-role': purpose },
      body: JSON.stringify({ ...body, stream: false }),
    });
    const { choices } = (await answer.body.json()) as { readonly choices: readonly unknown[] };
    if (choices.length !== body.n) throw new Error('the server answered something else');
  });
  await agent.close();
  return result;
}

const parts = { worker, loop: bareClient, undici: bareUndici };
type Side = keyof typeof parts;

async function all(): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'spar-overhead-'));
  const bodies = join(folder, 'bodies.json');
  const quick = await startServer();
  const run = (part: Side, url: string, args: readonly string[]) =>
    resultOf<Measured>(
      startPart('overhead.ts', ['--part', part, '--url', url, '--bodies', bodies, ...args]),
    );
  try {
    const own = ['--instructions', values.instructions, '--concurrency', values.concurrency];
    const recorded = await run('worker', quick.url, ['--instructions', '300', '--record']);
    if (values.memory) return await memory(run);
    const calls = Math.round((recorded.calls / 300) * Number(values.instructions));
    const asked = ['--calls', String(calls), '--concurrency', values.concurrency];
    const results: Record<Side, Measured[]> = { worker: [], loop: [], undici: [] };
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const side of Object.keys(parts) as Side[]) {
        const result = await run(side, quick.url, side === 'worker' ? own : asked);
        results[side].push(result);
        process.stderr.write(
          `round ${round + 1}: ${side} ${rounded(result.callsPerSecond)} calls/s, ` +
            `${rounded(result.cpuUsPerCall)} µs of CPU a call\n`,
        );
      }
    }
    return overhead(results);
  } finally {
    await quick.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

function overhead(results: Readonly<Record<Side, readonly Measured[]>>): object {
  const of = (side: Side, name: keyof Measured) =>
    median(results[side].map((result) => result[name]));
  /** Of each round by itself, since the machine may be busier in one than in the next. */
  const ratio = (one: Side, other: Side, name: keyof Measured) =>
    rounded(
      median(
        results[one].map((result, round) => result[name] / (results[other][round]?.[name] ?? NaN)),
      ),
      2,
    );
  const sides = Object.fromEntries(
    (Object.keys(parts) as Side[]).map((side) => [
      side,
      {
        callsPerSecond: rounded(of(side, 'callsPerSecond')),
        cpuUsPerCall: rounded(of(side, 'cpuUsPerCall')),
        callsInFlight: of(side, 'inFlight'),
        ...(side === 'worker' && { recordsPerSecond: rounded(of(side, 'recordsPerSecond')) }),
      },
    ]),
  );
  return {
    bench: 'overhead',
    instructions: Number(values.instructions),
    rounds: Number(values.rounds),
    ...sides,
    workerToLoop: {
      callsPerSecond: ratio('worker', 'loop', 'callsPerSecond'),
      cpuPerCall: ratio('worker', 'loop', 'cpuUsPerCall'),
    },
    loopToUndici: {
      callsPerSecond: ratio('loop', 'undici', 'callsPerSecond'),
      cpuPerCall: ratio('loop', 'undici', 'cpuUsPerCall'),
    },
  };
}

const memoryCalls = 4000;
const memoryLatencyMs = 10_000;
const memorySeconds = 45;

async function memory(
  run: (part: Side, url: string, args: readonly string[]) => Promise<Measured>,
): Promise<object> {
  const slow = await startServer(['--latency', String(memoryLatencyMs)]);
  try {
    const seconds = ['--seconds', String(memorySeconds)];
    // Enough places for calls of 5 choices alone. Refinements are one choice each, and would be more calls than that.
    const places = ['--places', String(5 * memoryCalls), '--calls-most', String(memoryCalls)];
    const flags = [...seconds, '--instructions', '100000', ...places];
    const ours = await run('worker', slow.url, flags);
    process.stderr.write(`worker: ${JSON.stringify(ours)}\n`);
    const concurrency = ['--concurrency', String(memoryCalls), '--choices', '5'];
    const bare = await run('loop', slow.url, [...seconds, ...concurrency]);
    const side = ({ inFlight, choices, rssMb, heapMb }: Measured) => ({
      callsInFlight: inFlight,
      choicesInFlight: choices,
      peakRssMb: rounded(rssMb),
      peakHeapMb: rounded(heapMb),
    });
    return {
      bench: 'overhead --memory',
      latencyMs: memoryLatencyMs,
      worker: side(ours),
      loop: side(bare),
      workerOverLoopMb: rounded(ours.rssMb - bare.rssMb),
    };
  } finally {
    await slow.stop();
  }
}

const result = values.part === 'all' ? await all() : await parts[values.part as Side]();
process.stdout.write(
  values.part === 'all' ? `${JSON.stringify(result, null, 2)}\n` : `${JSON.stringify(result)}\n`,
);
