import { Command, Option } from 'commander';
import pc from 'picocolors';
import type { Settings } from '../../processors/settings.ts';
import { resolveCluster } from '../config/cluster.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import {
  resolveEndpoints,
  settingsOf,
  versionsOf,
  type RoleEndpoints,
} from '../config/settings.ts';
import { UsageError } from '../errors.ts';
import { checkGateFiles } from '../exports/gates/gates.ts';
import type { InputOptions } from '../input/read.ts';
import { openSource, standardInputName } from '../input/source.ts';
import { openAiEndpoint } from '../model/openai.ts';
import { checkBudget } from '../run/budget.ts';
import { plan } from '../run/plan.ts';
import { run, type RunProgress } from '../run/run.ts';
import type { Summary } from '../run/summary.ts';
import type { Connect } from '../run/lanes.ts';
import type { LostPositions } from '../run/positions.ts';
import { writeExports } from '../run/write-exports.ts';
import { oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import {
  examples,
  brokersOption,
  budgetOptions,
  homeOption,
  iterationOption,
  jsonOption,
  lostPositionsOption,
  overridesOf,
  pipelineOption,
  registryOption,
  wholeNumber,
} from './options.ts';
import {
  clock,
  short,
  statusBlock,
  statusLines,
  type Progress,
  type ProgressView,
} from './progress.ts';
import { exportBar } from './bar.ts';
import { budgetProgress, budgetSentence, shortOfTarget } from './budget.ts';
import { onInterrupt } from './interrupt.ts';
import { boundedNotices } from './notices.ts';
import { openPipeline, workLogger } from './pipeline.ts';
import { perPairText, savedText } from './account.ts';
import { planText } from './plan.ts';
import { homeFlag, runAgain, shellWord } from './flags.ts';

interface Flags {
  readonly home: string;
  readonly brokers?: string;
  readonly registry?: string;
  readonly out: string;
  readonly iteration: string;
  readonly lostPositions: LostPositions;
  readonly config?: string;
  readonly format: InputOptions['format'];
  readonly limit?: number;
  readonly strict?: true;
  readonly dryRun?: true;
  readonly json?: true;
}

export const runCommand = (): Command => {
  const command = new Command('run')
    .summary('turn a file of instructions into preference pairs')
    .description(
      `Reads instructions, samples responses, lets the model judge them, refines failed ones by tree search, and
writes training files. Stop it whenever you like: the same command goes on, and nothing is paid for twice.

FILE holds one instruction a line: JSON objects with "prompt" or "messages" (and "id", "responses", any other
fields), or plain text; a JSON array is fine too. "-" reads standard input as it comes.

A budget (--max-tokens, --max-cost) is of the iteration, all of its runs together. What would pass it is not begun, what
was begun is finished, and the run ends with exit code 3; the same command with a larger one goes on. With --pairs it
ends, with 0, once so many are there.

API keys come from OPENAI_API_KEY, or from api_key_env or api_key_file of an endpoint in the config.`,
    )
    .argument('<file>', 'instructions, or - for standard input')
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .option('--model-url <url>', 'the model server, up to /v1 [env: SPAR_MODEL_URL]')
    .option('--model <name>', 'the model, as the server calls it [env: SPAR_MODEL]')
    .option('--out <dir>', 'where training files go', 'spar-out')
    .option('--mode <mode>', "faithful (the default: the paper's rules) or lean (far fewer tokens)")
    .addOption(iterationOption())
    .addOption(lostPositionsOption())
    .option('--seed <number>', 'decides every random choice (default: 0)', wholeNumber(0))
    .option('--config <file>', 'a YAML file with all other settings (see docs/settings.md)')
    .option(
      '--max-in-flight <number>',
      'generations in flight at most (default: 256)',
      wholeNumber(1),
    )
    .addOption(
      new Option('--format <format>', 'of the file')
        .choices(['auto', 'jsonl', 'json', 'text'])
        .default('auto'),
    )
    .option('--limit <number>', 'take only the first so many instructions', wholeNumber(1));
  for (const option of budgetOptions()) command.addOption(option);
  return command
    .option('--strict', 'stop before any call if a line of the file is bad')
    .option('--dry-run', 'say what would be asked and what it may cost, and ask nothing')
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar run instructions.jsonl --model-url http://localhost:8000/v1 --model my-model',
        'spar run instructions.jsonl --config spar.yaml --dry-run',
        'cat prompts.txt | spar run - --model-url $URL --model my-model --home runs/a --out runs/a/out',
      ),
    )
    .action(async (file: string, flags: Flags, command: Command) => {
      const config = loadConfig(flags.config ?? null, overridesOf(command, process.env));
      const endpoints = resolveEndpoints(config, process.env);
      checkBudget(config.budget, endpoints);
      const settings = settingsOf(config, flags.iteration, versionsOf(endpoints));
      if (flags.dryRun) {
        if (file === '-')
          throw new UsageError('--dry-run reads the whole source first: name a file');
        const planned = await plan(await openSource(file), flags, config, settings, endpoints);
        process.stdout.write(flags.json ? `${JSON.stringify(planned)}\n` : planText(planned, file));
        return;
      }
      await runFile(file, flags, config, settings, endpoints);
    });
};

async function runFile(
  file: string,
  flags: Flags,
  config: Config,
  settings: Settings,
  endpoints: RoleEndpoints,
): Promise<void> {
  const secrets = Object.values(endpoints).flatMap(({ apiKey }) => apiKey ?? []);
  if (flags.strict && file !== '-') {
    const planned = await plan(await openSource(file), flags, config, settings, endpoints);
    if (planned.rejected.length > 0) {
      throw new UsageError(
        [
          ...planned.rejected.slice(0, 20),
          `${planned.rejected.length} bad lines; nothing was asked.`,
        ].join('\n'),
      );
    }
  }
  // The files are written at the end, and it would be a pity to find out only then.
  await checkGateFiles(config.export.gates);
  const source = await openSource(file);
  const cluster = resolveCluster(config, process.env);
  const logger = workLogger(flags.home, config, () => [...secrets, ...(cluster?.secrets ?? [])]);
  const pipeline = await openPipeline(flags, config, cluster, logger);
  const { home } = pipeline;
  const view = progressView();
  const notices = boundedNotices((text) => {
    view.end();
    process.stderr.write(`${pc.yellow(text)}\n`);
  });
  const stop = new AbortController();
  const interrupts = onInterrupt(stop, notices.say);
  try {
    const summary = await run({
      home,
      source,
      format: flags.format,
      config,
      settings,
      endpoints,
      connect: connectOpenAi,
      limit: flags.limit ?? null,
      strict: flags.strict ?? false,
      time: systemTime,
      logger,
      progressMs: process.stderr.isTTY ? 200 : 1000,
      progress: (progress) => {
        view.show(
          progressOf(`spar run ${oneLine(file, 60)} · iteration ${settings.iteration}`, progress),
        );
      },
      notice: notices.bounded,
      lostPositions: flags.lostPositions,
      ...(pipeline.siblings && { elsewhere: pipeline.siblings.awaited }),
      gateway: pipeline.serve,
      stop: stop.signal,
    });
    view.end();
    notices.end();
    // Writing takes longer the more there is, and whoever interrupts waits for it.
    const bar = exportBar();
    const exported =
      summary.admitted === 0 || interrupts.signal
        ? null
        : await writeExports({
            home,
            iteration: settings.iteration,
            out: flags.out,
            config,
            // As many as were wanted are the whole of what was wanted.
            complete: summary.complete || summary.state === 'target reached',
            progress: bar.show,
          }).finally(bar.end);
    if (interrupts.signal && summary.admitted > 0) {
      notices.say(
        `No training files were written. To write what there is: ${exportCommand(flags)}`,
      );
    }
    process.stdout.write(
      flags.json
        ? `${JSON.stringify(summary)}\n`
        : summaryText(summary, file, flags, exported?.folder ?? null),
    );
    if (interrupts.signal) process.exitCode = interrupts.signal === 'SIGINT' ? 130 : 143;
    else process.exitCode = exitCodeOf(summary);
  } finally {
    view.end();
    interrupts.end();
    await pipeline.close();
    // An endless standard input would keep the process alive.
    if (file === '-') process.stdin.destroy();
  }
}

function exitCodeOf({ state, admitted }: Summary): number {
  if (state === 'incomplete: budget') return 3;
  return state === 'incomplete' || admitted === 0 ? 1 : 0;
}

export const connectOpenAi: Connect = (url, endpoint) =>
  openAiEndpoint({
    url,
    model: endpoint.model,
    apiKey: endpoint.apiKey,
    extraBody: endpoint.extraBody,
    maxConnections: endpoint.maxInFlight,
  });

const progressView = (): ProgressView =>
  process.stderr.isTTY
    ? statusBlock(process.stderr)
    : statusLines(
        (line) => process.stderr.write(`${line}\n`),
        10_000,
        () => systemTime.monotonic(),
      );

const progressOf = (title: string, progress: RunProgress): Progress => {
  const { counters } = progress;
  const sum = (prefix: string) =>
    Object.entries(counters)
      .filter(([name]) => name.startsWith(prefix))
      .reduce((total, [, value]) => total + value, 0);
  return {
    title,
    ...progress,
    calls: sum('calls.'),
    tokens: (counters['tokens.prompt'] ?? 0) + (counters['tokens.completion'] ?? 0),
    cost: counters['cost'] ?? null,
    retries: sum('retries.'),
    budget: progress.budget && budgetProgress(progress.budget),
  };
};

const exportCommand = (flags: Flags): string =>
  [
    `spar export${homeFlag(flags)}`,
    ...(flags.iteration === '1' ? [] : [`--iteration ${flags.iteration}`]),
    `--out ${shellWord(flags.out)}`,
  ].join(' ');

function endText({ state, budget, seconds }: Summary): readonly string[] {
  if (budget && (state === 'incomplete: budget' || state === 'target reached')) {
    const what = state === 'target reached' ? 'Target reached' : 'The budget is used up';
    const colour =
      state === 'target reached' ? pc.bold : (text: string) => pc.yellow(pc.bold(text));
    return [`${colour(what)} after ${clock(seconds)}: ${budgetSentence(state, budget)}`];
  }
  if (state === 'complete') {
    const missing = budget && shortOfTarget(budget);
    return [`${pc.bold('Done')} in ${clock(seconds)}.`, ...(missing ? [pc.yellow(missing)] : [])];
  }
  return [
    `${pc.yellow(pc.bold('Not finished.'))} The same command goes on where this one stopped.`,
  ];
}

function summaryText(summary: Summary, file: string, flags: Flags, folder: string | null): string {
  const { outcomes, tokens, modelCalls } = summary;
  const calls = Object.values(modelCalls).reduce((sum, count) => sum + count, 0);
  const home = homeFlag(flags);
  // An earlier run may have left another source unread.
  const unread = summary.unreadSources;
  const goOn = unread.length > 0 ? unread : [file === '-' ? standardInputName : file];
  const parts = [
    pc.green(pc.bold(`${outcomes.paired} preference pairs`)),
    `${outcomes.allPassed} all passed`,
    `${outcomes.exhausted} exhausted`,
    ...(outcomes.undecided ? [`${outcomes.undecided} undecided`] : []),
    ...(outcomes.failed ? [pc.red(`${outcomes.failed} failed`)] : []),
  ];
  const skipped = [
    ...(summary.duplicates ? [`${summary.duplicates} duplicates`] : []),
    ...(summary.rejected ? [pc.yellow(`${summary.rejected} lines rejected`)] : []),
  ];
  const [perPair, saved] = [perPairText(summary), savedText(summary)];
  return [
    ...endText(summary),
    ...unread.map((name) => pc.yellow(`  ${oneLine(name, 100)} was not read to its end`)),
    `  ${summary.admitted} instructions → ${parts.join(', ')}`,
    ...(skipped.length > 0 ? [`  ${skipped.join(', ')}`] : []),
    `  ${calls} model calls, ${short(tokens.prompt)} prompt and ${short(tokens.completion)} generated tokens` +
      (summary.cost === null ? '' : `, cost ${summary.cost.toFixed(2)}`),
    ...(perPair === null ? [] : [`  per pair: ${perPair}`]),
    ...(saved === null ? [] : [`  saved: ${saved}`]),
    ...(folder === null ? [] : [`  training files: ${folder}`]),
    ...(summary.deadLetters
      ? [`  ${pc.red(`${summary.deadLetters} dead letters`)}: spar dead-letters list${home}`]
      : []),
    '',
    ...(outcomes.paired > 0
      ? [`Look at a pair: spar pair${home}`, `Look at a tree: spar tree${home}`]
      : [`See what happened: spar status${home}`]),
    ...(summary.state !== 'incomplete' ? [] : goOn.map((name) => `Go on: ${runAgain(name)}`)),
    '',
  ].join('\n');
}
