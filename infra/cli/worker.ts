import { Command, Option } from 'commander';
import pc from 'picocolors';
import { dataflow } from '../../topology/dataflow.ts';
import { firstSteps } from '../../topology/topology.ts';
import { resolveCluster } from '../config/cluster.ts';
import type { Config } from '../config/schema.ts';
import { hasNoJudge, resolveEndpoint, roles, settingsOf, versionsOf } from '../config/settings.ts';
import { UsageError } from '../errors.ts';
import { serveHealth, type HealthServer } from '../health/server.ts';
import { checkBudget, type BudgetEnd } from '../run/budget.ts';
import type { Endpoints } from '../run/lanes.ts';
import type { LostPositions } from '../run/positions.ts';
import { checkStages, work, type WorkerProgress } from '../run/worker.ts';
import { oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import { onInterrupt } from './interrupt.ts';
import { budgetProgress } from './budget.ts';
import {
  budgetOptions,
  examples,
  iterationOption,
  jsonOption,
  lostPositionsOption,
  wholeNumber,
} from './options.ts';
import { pipelineOptions, type PipelineFlags } from './flags.ts';
import { configOf, openPipeline, workLogger } from './pipeline.ts';
import { clock, short } from './progress.ts';
import { connectOpenAi } from './run.ts';

interface Flags extends PipelineFlags {
  readonly iteration: string;
  readonly lostPositions: LostPositions;
  readonly stages?: readonly string[];
  readonly healthPort?: number;
  readonly healthHost: string;
  readonly json?: true;
}

export const workerCommand = (): Command => {
  const command = new Command('worker')
    .summary('work on a pipeline that is on a Kafka cluster')
    .description(
      `Takes its share of the partitions of every stage, and gives them up when other workers come. Start as many as
you like, on as many machines, with the same stages or each with some. Ctrl-C (or SIGTERM) stops it in good order: what
is finished is committed, the rest goes on elsewhere.

The workers of one machine should share a home: they read each other's journals, so that no answer that was paid for
is asked for again.

A budget (--max-tokens, --max-cost) or a target (--pairs) is of the iteration, all of its workers together: give all of
them the same. A worker that may begin no more instructions stays, and finishes what was begun.`,
    )
    .addOption(
      new Option(
        '--stages <list>',
        `only these, separated by commas: ${Object.keys(dataflow).join(', ')}`,
      ).argParser((value: string) => value.split(',').map((name) => name.trim())),
    )
    .option('--model-url <url>', 'the model server, up to /v1 [env: SPAR_MODEL_URL]')
    .option('--model <name>', 'the model, as the server calls it [env: SPAR_MODEL]')
    .option('--mode <mode>', 'the rules to follow (default: "faithful", the paper\'s)')
    .option('--seed <number>', 'decides every random choice (default: 0)', wholeNumber(0))
    .option(
      '--max-in-flight <number>',
      'generations in flight at most (default: 256)',
      wholeNumber(1),
    )
    .addOption(iterationOption())
    .addOption(lostPositionsOption())
    .option(
      '--health-port <number>',
      'answers /healthz and /readyz there (0: any free port)',
      wholeNumber(0),
    )
    .option('--health-host <address>', 'the address that it answers on', '127.0.0.1');
  for (const option of [...budgetOptions(), ...pipelineOptions()]) command.addOption(option);
  return command
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar topics apply --brokers kafka:9092 --registry http://registry:8081',
        'spar worker --brokers kafka:9092 --registry http://registry:8081 --model-url http://gpu:8000/v1 --model my-model',
        'spar worker --config spar.yaml --stages judge,evaluate --health-port 8080',
      ),
    )
    .action(async (flags: Flags, self: Command) => {
      const config = configOf(flags, self);
      if (flags.stages) checkStages(flags.stages);
      await runWorker(flags, config);
    });
};

async function runWorker(flags: Flags, config: Config): Promise<void> {
  const cluster = resolveCluster(config, process.env);
  if (!cluster) {
    throw new UsageError(
      'a worker needs a cluster: give --brokers and --registry; on one machine, spar run does it all',
    );
  }
  const endpoints = endpointsOf(config, flags.stages ?? null);
  checkBudget(config.budget, endpoints);
  const keys = Object.values(endpoints).flatMap(({ apiKey }) => apiKey ?? []);
  const logger = workLogger(flags.home, config, () => [...cluster.secrets, ...keys]);
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const notice = (text: string) => say(pc.yellow(oneLine(text, 1000)));
  const pipeline = await openPipeline(flags, config, cluster, logger);
  const stop = new AbortController();
  const interrupts = onInterrupt(stop, notice);
  let last = null as WorkerProgress | null;
  let health: HealthServer | null = null;
  const lines = every(10_000, () => systemTime.monotonic());
  try {
    if (flags.healthPort !== undefined) {
      const at = { host: flags.healthHost, port: flags.healthPort };
      health = await serveHealth({ notReady: () => notReady(last) }, at);
      say(`Health: http://${at.host}:${health.port}/readyz`);
    }
    await work({
      home: pipeline.home,
      config,
      settings: settingsOf(config, flags.iteration, versionsOf(endpoints)),
      endpoints,
      connect: connectOpenAi,
      stages: flags.stages ?? null,
      time: systemTime,
      logger,
      progressMs: 500,
      progress: (progress) => {
        last = progress;
        if (lines.due()) say(flags.json ? JSON.stringify(progressJson(progress)) : line(progress));
      },
      notice,
      lostPositions: flags.lostPositions,
      ...(pipeline.siblings && { elsewhere: pipeline.siblings.awaited }),
      gateway: pipeline.serve,
      stop: stop.signal,
    });
    if (last) {
      process.stdout.write(
        flags.json ? `${JSON.stringify(progressJson(last))}\n` : `Stopped. ${line(last)}\n`,
      );
    }
  } finally {
    interrupts.end();
    await health?.close();
    await pipeline.close();
  }
}

/** Of the roles that the stages ask; sampling fixes the models of all of them when it opens an iteration. */
function endpointsOf(config: Config, stages: readonly string[] | null): Endpoints {
  const steps = Object.entries(dataflow).filter(([name]) => stages?.includes(name) ?? true);
  const samples = steps.some(([name]) => firstSteps(dataflow).has(name));
  const asked = samples
    ? roles
    : roles.filter((role) => steps.some(([, { asks }]) => asks.includes(role)));
  return Object.fromEntries(
    asked
      .filter((role) => role !== 'judge' || !hasNoJudge(config))
      .map((role) => [role, resolveEndpoint(role, config, process.env)]),
  );
}

function notReady(progress: WorkerProgress | null): readonly string[] {
  if (!progress || progress.stages.some(({ joined }) => !joined)) return ['joining the groups'];
  return [
    ...(progress.away === null ? [] : [oneLine(progress.away, 400)]),
    ...(progress.down === null ? [] : [`a model server is down: ${oneLine(progress.down, 200)}`]),
    ...[...progress.held].map(
      ([iteration, records]) =>
        `${records} records of iteration ${iteration} wait for the models that it was opened with`,
    ),
  ];
}

function line({
  seconds,
  stages,
  inFlight,
  limit,
  counters,
  down,
  away,
  held,
  budget,
  budgetEnd,
}: WorkerProgress): string {
  const waiting = [...held.values()].reduce((sum, records) => sum + records, 0);
  return [
    clock(seconds),
    ...stages.map(
      ({ stage, partitions, done, inFlight: open }) =>
        `${stage} ${short(done)} done, ${open} open in ${partitions}`,
    ),
    `${inFlight}/${limit} generations`,
    `${short(sum(counters, 'calls.'))} calls`,
    `${short(sum(counters, 'tokens.'))} tokens`,
    ...(budget === null ? [] : [budgetProgress(budget)]),
    ...(budgetEnd === null ? [] : [pc.yellow(endWords[budgetEnd])]),
    ...(waiting > 0 ? [pc.yellow(`${waiting} wait for other models`)] : []),
    ...[away, down]
      .filter((why) => why !== null)
      .map((why) => pc.yellow(`waiting: ${oneLine(why, 400)}`)),
  ].join(' · ');
}

const endWords: Readonly<Record<BudgetEnd, string>> = {
  'used-up': 'the budget is used up: nothing more is begun',
  'cut-off': 'more than the budget is spent: nothing more is asked',
  target: 'the target is reached: nothing more is begun',
};

const sum = (counters: WorkerProgress['counters'], prefix: string): number =>
  Object.entries(counters)
    .filter(([name]) => name.startsWith(prefix) && name !== 'tokens.estimated')
    .reduce((total, [, value]) => total + value, 0);

const progressJson = ({ held, ...progress }: WorkerProgress): object => ({
  ...progress,
  held: Object.fromEntries(held),
});

/** True once at the beginning of each span. */
function every(spanMs: number, now: () => number): { due(): boolean } {
  let last = -Infinity;
  return {
    due() {
      if (now() - last < spanMs) return false;
      last = now();
      return true;
    },
  };
}
