import { Command } from 'commander';
import { writeFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import pc from 'picocolors';
import type { Estimate } from '../../processors/rules/accuracy.ts';
import {
  accuraciesOf,
  scoreOf,
  type Accuracies,
  type Accuracy,
  type Scored,
} from '../../processors/rules/constraints/score.ts';
import { loadConfig, type Override } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { resolveEndpoint } from '../config/settings.ts';
import { checker } from '../constraints/index.ts';
import { RunError, UsageError } from '../errors.ts';
import { ask, type Answer, type Asked } from '../evaluate/ask.ts';
import { promptOf, readBenchmark, type Task } from '../evaluate/benchmark.ts';
import { plotOf } from '../evaluate/plot.ts';
import { readResponses } from '../evaluate/responses.ts';
import { openHome } from '../home/home.ts';
import { openSource } from '../input/source.ts';
import type { Connect } from '../run/lanes.ts';
import { messageOf, oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import { exportBar } from './bar.ts';
import { onInterrupt } from './interrupt.ts';
import { boundedNotices, type Notices } from './notices.ts';
import {
  configOption,
  examples,
  homeOption,
  jsonOption,
  overridesOf,
  pipelineOption,
  wholeNumber,
} from './options.ts';
import { counted, jsonLine, print } from './output.ts';
import { connectOpenAi } from './run.ts';

interface Flags {
  readonly home: string;
  readonly config?: string;
  readonly responses?: string;
  readonly name: string;
  readonly limit?: number;
  readonly save?: string;
  readonly verdicts?: string;
  readonly plot?: string;
  readonly json?: true;
}

/** The files that a command writes, by their flags; none is overwritten by another. */
const outputs = ['save', 'verdicts', 'plot'] as const;

export const evaluateCommand = (connect: Connect = connectOpenAi): Command =>
  new Command('evaluate')
    .summary('measure how well a model follows instructions, as IFEval does')
    .description(
      `Asks a model for one response to every prompt of a benchmark and checks each constraint by code: no judge, no
other model. Prints the share of prompts all of whose constraints are satisfied and the share of constraints that are,
strict and loose (loose forgives asterisks and a first or last line), each with its 95 % interval, and the same for
every kind of constraint.

FILE has the format of IFEval's input_data.jsonl: key, prompt, instruction_id_list and kwargs on each line
(docs/constraints.md has all names and arguments). With --responses nobody is asked: that file has prompt and response
on each line, as the benchmark's own has.

Stop it whenever you like: the same command goes on, and no answer is paid for twice. After training under the same
model name, another --name asks anew.`,
    )
    .argument('<file>', 'prompts with constraints, or - for standard input')
    .option('--model-url <url>', 'the model server, up to /v1 [env: SPAR_MODEL_URL]')
    .option('--model <name>', 'the model, as the server calls it [env: SPAR_MODEL]')
    .option('--responses <file>', 'score the responses of this file, and ask nobody')
    .option('--name <name>', 'of this evaluation; answers under another are asked for anew', '1')
    .option('--limit <number>', 'take only the first so many prompts', wholeNumber(1))
    .option('--temperature <number>', 'how far answers may stray (default: 0)', someNumber)
    .option('--top-p <number>', 'share of the likeliest tokens (default: 1)', someNumber)
    .option('--max-tokens <number>', 'of an answer (default: 4096)', wholeNumber(1))
    .option('--max-in-flight <number>', 'calls in flight (default: 256)', wholeNumber(1))
    .option('--seed <number>', 'of the answers and the bootstrap (default: 0)', wholeNumber(0))
    .option('--save <file>', 'write the responses, for other scorers or --responses')
    .option('--verdicts <file>', 'write each verdict with what was found, one prompt a line')
    .option('--plot <file>', 'write the figures as a plot (SVG)')
    .addOption(homeOption())
    .addOption(configOption())
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar evaluate input_data.jsonl --model-url http://localhost:8000/v1 --model my-model',
        'spar evaluate input_data.jsonl --model-url $URL --model my-model --name after-dpo --plot ifeval.svg',
        'spar evaluate input_data.jsonl --responses responses.jsonl --json',
      ),
    )
    .action(async (file: string, flags: Flags, command: Command) => {
      const overrides = [...overridesOf(command, process.env), ...samplingOf(command)];
      const config = loadConfig(flags.config ?? null, overrides);
      const named = outputs.flatMap((name) => flags[name] ?? []);
      if (new Set(named).size < named.length) {
        throw new UsageError('two of --save, --verdicts and --plot name the same file.');
      }
      await evaluate(file, flags, config, connect);
    });

/** For the flags; whether the number will do is for the settings to say. */
function someNumber(value: string): number | string {
  return /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : value;
}

/** The sampling of `spar run` has settings of its own, so these flags are about `evaluate` alone. */
const samplingOf = (command: Command): readonly Override[] =>
  [
    ['temperature', '--temperature', 'temperature'],
    ['topP', '--top-p', 'top_p'],
    ['maxTokens', '--max-tokens', 'max_tokens'],
  ].flatMap(([option = '', from = '', name = '']) => {
    const value = command.getOptionValue(option) as unknown;
    return value === undefined ? [] : [{ from, path: ['evaluate', name], value }];
  });

/** What was found out, in one value: printed as JSON, or as a table. */
interface Report extends Accuracies {
  readonly file: string;
  /** Null where the responses came from a file. */
  readonly model: string | null;
  readonly responses: string | null;
  readonly prompts: number;
  /** Prompts without a response, which satisfy nothing. */
  readonly unanswered: number;
  /** Responses that ended at `max_tokens`. */
  readonly cut: number;
  readonly modelCalls: number;
  readonly tokens: { readonly prompt: number; readonly completion: number };
  readonly cost: number | null;
}

async function evaluate(
  file: string,
  flags: Flags,
  config: Config,
  connect: Connect,
): Promise<void> {
  const notices = boundedNotices((text) => process.stderr.write(`${pc.yellow(text)}\n`));
  const { max_line_bytes: maxLineBytes } = config.limits;
  const source = await openSource(file);
  const { tasks, problems } = await readBenchmark(
    source,
    { maxLineBytes, limit: flags.limit ?? null },
    checker,
  );
  refuseBadLines(problems, 'The benchmark is only the benchmark as a whole: nothing was asked.');
  const answered =
    flags.responses === undefined
      ? await askModel(tasks, flags, config, connect, notices)
      : await fromFile(tasks, flags.responses, source.name, maxLineBytes, notices);
  notices.end();
  // Interrupted: what there is, is in the journal.
  if (answered === null) return;
  const scored = await scoredOf(tasks, answered.answers);
  const { resamples } = config.evaluate;
  const report: Report = {
    file: source.name,
    model: answered.model,
    responses: flags.responses ?? null,
    prompts: tasks.length,
    unanswered: answered.answers.filter((answer) => 'failed' in answer).length,
    cut: answered.answers.filter((answer) => 'text' in answer && answer.cut).length,
    ...accuraciesOf(scored, { resamples, seed: config.seed }),
    ...spendOf(answered.counters),
  };
  await writeOutputs(flags, tasks, answered.answers, scored, report);
  await print(flags.json ? jsonLine(report) : reportText(report));
  if (report.unanswered > 0 || answered.hasGaps) process.exitCode = 1;
}

/** Of a thousand bad lines the first say enough. */
const problemsShown = 20;

/** @throws UsageError that names them */
export function refuseBadLines(problems: readonly string[], consequence: string): void {
  if (problems.length === 0) return;
  throw new UsageError(
    [
      ...problems.slice(0, problemsShown),
      `${problems.length} bad ${problems.length === 1 ? 'line' : 'lines'}. ${consequence}`,
    ].join('\n'),
  );
}

interface Answered {
  readonly answers: readonly Answer[];
  readonly model: string | null;
  readonly counters: Asked['counters'];
  readonly hasGaps: boolean;
}

async function fromFile(
  tasks: readonly Task[],
  file: string,
  benchmark: string,
  maxLineBytes: number,
  notices: Notices,
): Promise<Answered> {
  const source = await openSource(file);
  const { responses, gaps, problems } = await readResponses(source, tasks, benchmark, maxLineBytes);
  refuseBadLines(problems, 'Nothing was scored.');
  gaps.forEach(notices.bounded);
  const answers = responses.map((text) =>
    text === null ? { failed: 'no response' } : { text, cut: false },
  );
  return { answers, model: null, counters: {}, hasGaps: gaps.length > 0 };
}

/** Null if it was interrupted. */
async function askModel(
  tasks: readonly Task[],
  flags: Flags,
  config: Config,
  connect: Connect,
  notices: Notices,
): Promise<Answered | null> {
  const endpoint = resolveEndpoint('actor', config, process.env);
  const home = await openHome({
    folder: flags.home,
    pipeline: config.pipeline,
    time: systemTime,
  });
  const stop = new AbortController();
  const interrupts = onInterrupt(stop, notices.say);
  const bar = exportBar();
  try {
    const { answers, counters } = await ask(tasks, {
      ...{ home, config, endpoint, connect, sampling: config.evaluate, name: flags.name },
      time: systemTime,
      notice: notices.bounded,
      progress: (done) => {
        bar.show({ step: 'asking', done, of: tasks.length });
      },
      stop: stop.signal,
    }).finally(bar.end);
    if (interrupts.signal) {
      notices.say(`${answers.length} of ${tasks.length} answered. The same command goes on.`);
      process.exitCode = interrupts.signal === 'SIGINT' ? 130 : 143;
      return null;
    }
    for (const [index, answer] of answers.entries()) {
      if (!('failed' in answer)) continue;
      notices.bounded(`no answer to ${tasks[index]?.id ?? ''}: ${answer.failed}`);
    }
    return { answers, model: endpoint.version, counters, hasGaps: false };
  } finally {
    interrupts.end();
    await home.close();
  }
}

async function scoredOf(
  tasks: readonly Task[],
  answers: readonly Answer[],
): Promise<readonly (readonly Scored[])[]> {
  const bar = exportBar();
  const scored: (readonly Scored[])[] = [];
  for (const [index, { constraints }] of tasks.entries()) {
    const answer = answers[index];
    // The benchmark's verdict on an empty response: nothing is satisfied.
    const text = answer && 'text' in answer ? answer.text : '';
    scored.push(scoreOf(checker, constraints, text));
    bar.show({ step: 'checking', done: index + 1, of: tasks.length });
    // Lets a signal in.
    await setImmediate();
  }
  bar.end();
  return scored;
}

function spendOf(counters: Asked['counters']): Pick<Report, 'modelCalls' | 'tokens' | 'cost'> {
  const calls = Object.entries(counters).filter(([name]) => name.startsWith('calls.'));
  return {
    modelCalls: calls.reduce((sum, [, count]) => sum + count, 0),
    tokens: {
      prompt: counters['tokens.prompt'] ?? 0,
      completion: counters['tokens.completion'] ?? 0,
    },
    cost: counters['cost'] ?? null,
  };
}

async function writeOutputs(
  flags: Flags,
  tasks: readonly Task[],
  answers: readonly Answer[],
  scored: readonly (readonly Scored[])[],
  report: Report,
): Promise<void> {
  const { save, verdicts, plot } = flags;
  if (save !== undefined) {
    const rows = tasks.flatMap((task, index) => {
      const answer = answers[index];
      return answer && 'text' in answer ? [{ prompt: promptOf(task), response: answer.text }] : [];
    });
    await write(save, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  }
  if (verdicts !== undefined) {
    const rows = tasks.map(({ id, line }, index) => ({ id, line, constraints: scored[index] }));
    await write(verdicts, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  }
  if (plot !== undefined) await write(plot, plotOf(titleOf(report), report));
}

async function write(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (error) {
    throw new RunError(`${oneLine(path, 300)} cannot be written: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

const titleOf = ({ file, model, responses }: Report): string =>
  `${oneLine(file, 60)} · ${oneLine(model ?? responses ?? '', 60)}`;

function reportText(report: Report): string {
  const { prompt, instruction, families, unanswered, cut, prompts, modelCalls, cost } = report;
  const widest = Math.max(...Object.keys(families).map((name) => name.length), 12);
  const row = (name: string, { strict, loose }: Accuracy): string =>
    `  ${name.padEnd(widest)} ${String(strict.of).padStart(5)}   ${estimateText(strict)}   ${estimateText(loose)}`;
  const heading = `  ${''.padEnd(widest)} ${'n'.padStart(5)}   ${'strict'.padEnd(estimateWidth)}   loose`;
  return [
    pc.bold(titleOf(report)),
    pc.dim(heading),
    pc.bold(row('prompts', prompt)),
    pc.bold(row('instructions', instruction)),
    ...Object.entries(families).map(([name, accuracy]) => row(name, accuracy)),
    ...(unanswered > 0
      ? [
          pc.red(
            `  ${counted(unanswered, 'prompt')} without a response: nothing of them is satisfied`,
          ),
        ]
      : []),
    ...(cut > 0
      ? [pc.yellow(`  ${cut} of ${counted(prompts, 'response')} ended at max_tokens`)]
      : []),
    ...(report.model === null
      ? []
      : [
          `  ${counted(modelCalls, 'model call')}${cost === null ? '' : `, cost ${cost.toFixed(2)}`}` +
            (modelCalls === 0 ? ': all answers were there' : ''),
        ]),
    '  % satisfied (95 % interval)',
    '',
  ].join('\n');
}

const percent = (share: number): string => (share * 100).toFixed(1);

const estimateWidth = ' 54.5 ( 49.2– 59.7)'.length;

const estimateText = ({ value, low, high }: Estimate): string =>
  `${percent(value).padStart(5)} (${percent(low).padStart(5)}–${percent(high).padStart(5)})`;
