/**
 * Does a home that has seen much take longer to go on? Fills a home with records of instructions that have ended, lets
 * `spar run` begin some more, kills it with SIGKILL, gives the same command again and waits for its first call.
 *
 *   node test/bench/restart.ts [--records 10000,100000,1000000] [--rounds 3]
 *
 * Prints JSON for each number of records: seconds from the start of the process to the first call of what was under
 * way, the median over the kills; and what it takes to read past lines that the home knows, when a file of all of them
 * with one more line is given, microseconds a line.
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openHome, type Home } from '../../infra/home/home.ts';
import { readInstructions } from '../../infra/input/read.ts';
import { openSeen } from '../../infra/input/seen.ts';
import type { NewRecord } from '../../infra/log/log.ts';
import { headersFor } from '../../infra/runtime/headers.ts';
import { systemTime } from '../../infra/time.ts';
import { fullId } from '../../processors/rules/ids.ts';
import { noSavings } from '../../processors/rules/savings.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type { Instruction, Outcome, Responses, Verdicts } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { firstSteps, groupOf, nameOnLog, type Topic } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { chunksOf } from '../run/support.ts';
import { median, rounded, startServer, startSpar, type BenchServer } from './parts.ts';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '10000,100000,1000000' },
    rounds: { type: 'string', default: '3' },
  },
});
const rounds = Number(values.rounds);
const pipeline = 'spar';
/** Records that an instruction leaves whose responses all pass: itself, responses, verdicts, outcome. */
const recordsEach = 4;
/** Of each round of what is under way. */
const fresh = 200;

const line = (id: string): string =>
  `${JSON.stringify({ id, prompt: `Write letter ${id}. Mention the harbour and the weather.` })}\n`;

function* linesOf(name: string, count: number): Generator<string> {
  for (let index = 0; index < count; index++) yield line(`${name}${index}`).trimEnd();
}

/** Everything that came of it, as the stages would have written it. */
function endedRecords(home: Home, instruction: Instruction): NewRecord[] {
  const id = fullId('1', instruction.id);
  const { messages, constraints, judge_by, source, extra } = instruction;
  const text = 'The tide took the letters that nobody had read. '.repeat(5);
  const responses: Responses = {
    ...{ id, iteration: '1', instruction_id: instruction.id, messages, constraints },
    ...{ judge_by, source, extra },
    responses: [{ index: 0, text, reasoning: null, finish_reason: 'stop' }],
    ...{ given: false, actor_model: 'bench', ...noSpend },
  };
  const verdicts: Verdicts = {
    ...responses,
    ...{ judged: [], judge_model: 'bench', judge_prompt: 'bench', ...noSavings },
  };
  const outcome: Outcome = {
    ...{ id, iteration: '1', instruction_id: instruction.id, tree: null, trees: 0 },
    ...{ outcome: 'all-passed', cause: null, revision: 0, evaluated: 0, ...noSpend, ...noSavings },
  };
  const input = {
    ...{ topic: '', partition: 0, key: instruction.id, value: Buffer.of() },
    ...{ headers: { iteration: '1' }, offset: 0, timestamp: 0 },
  };
  const record = <Row extends { readonly id: string }>(topic: Topic<Row>, row: Row) => ({
    topic: nameOnLog(pipeline, topic),
    partition: 0,
    key: row.id,
    headers: headersFor(input, row, '1'),
    value: home.serde.encode(topic, row),
  });
  return [
    { ...record(topics.instructions, instruction), headers: { iteration: '1' } },
    record(topics.responses, responses),
    record(topics.verdicts, verdicts),
    record(topics.outcomes, outcome),
  ];
}

/** Writes the records of so many instructions, and moves every group behind them. */
async function fill(folder: string, instructions: number): Promise<void> {
  const home = await openHome({ folder, pipeline, time: systemTime });
  const seen = openSeen();
  const source = { name: 'known.jsonl', chunks: chunksOf(linesOf('k', instructions)) };
  const items = readInstructions(source, { format: 'jsonl', maxLineBytes: 1 << 20, seen });
  let batch: NewRecord[] = [];
  for await (const item of items) {
    if (item.kind !== 'instruction') throw new Error('a line of the bench is bad');
    batch.push(...endedRecords(home, item.instruction));
    if (batch.length < 4000) continue;
    await home.log.append(batch);
    batch = [];
  }
  if (batch.length > 0) await home.log.append(batch);
  seen.close();
  const firsts = firstSteps(dataflow);
  for (const [name, { from }] of Object.entries(dataflow)) {
    const topic = nameOnLog(pipeline, from);
    const [ends] = await home.log.ends(topic);
    const group = groupOf(pipeline, name, firsts.has(name) ? '1' : null);
    const subscription = await home.log.subscribe(group, topic, {
      assigned: () => undefined,
      records: () => undefined,
      revoked: () => Promise.resolve(),
      failed: () => undefined,
    });
    await subscription.commit(0, { outputs: [], position: ends?.latest ?? 0, metadata: '' });
    await subscription.close();
  }
  await home.close();
}

async function measure(records: number, server: BenchServer): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'spar-restart-'));
  const [home, config] = [join(folder, 'home'), join(folder, 'spar.yaml')];
  const instructions = Math.floor(records / recordsEach);
  const fileOf = (name: string, lines: Iterable<string>): string => {
    const file = join(folder, `${name}.jsonl`);
    writeFileSync(file, `${[...lines].join('\n')}\n`);
    return file;
  };
  // YAML holds JSON.
  writeFileSync(config, JSON.stringify({ sample: { responses: 1 }, judge: { votes: 1 } }));
  const args = ['--home', home, '--out', join(folder, 'out'), '--config', config, '--json'];
  const spar = (file: string) =>
    startSpar(['run', file, ...args, '--model-url', server.url, '--model', 'bench']);
  /** How long until the first call that is no question about the server. */
  const firstCall = async (startedAt: number): Promise<number> => {
    for (;;) {
      const { value } = (await server.calls.next()) as { readonly value: string };
      const [at, role] = value.split(' ');
      if (Number(at) >= startedAt && role !== 'probe') return (Number(at) - startedAt) / 1000;
    }
  };
  try {
    await once(spar(fileOf('first', linesOf('f', 1))), 'exit');
    const filling = performance.now();
    await fill(home, instructions);
    process.stderr.write(
      `${records} records written in ${rounded((performance.now() - filling) / 1000)} s\n`,
    );
    const seconds: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const file = fileOf(`fresh${round}`, linesOf(`r${round}-`, fresh));
      const killed = spar(file);
      await firstCall(Date.now());
      await sleep(300);
      killed.kill('SIGKILL');
      await once(killed, 'exit');
      // What was on its way to the server when the process died is not a call of the next one.
      await sleep(300);
      const startedAt = Date.now();
      const again = spar(file);
      seconds.push(await firstCall(startedAt));
      await once(again, 'exit');
    }
    const all = fileOf('all', [...linesOf('k', instructions), ...linesOf('last', 1)]);
    const startedAt = Date.now();
    const last = spar(all);
    const pastAll = await firstCall(startedAt);
    await once(last, 'exit');
    return {
      records,
      secondsToFirstCall: rounded(median(seconds), 2),
      secondsPastKnownLines: rounded(pastAll, 2),
      usPerKnownLine: rounded(((pastAll - median(seconds)) / instructions) * 1e6),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const server = await startServer(['--latency', '400', '--tell']);
try {
  const results: object[] = [];
  for (const records of values.records.split(',').map(Number)) {
    results.push(await measure(records, server));
  }
  process.stdout.write(`${JSON.stringify({ bench: 'restart', rounds, results }, null, 2)}\n`);
} finally {
  await server.stop();
}
