import { Command, Option } from 'commander';
import pc from 'picocolors';
import { outcomeCounts } from '../run/summary.ts';
import type { Iteration } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { RunError } from '../errors.ts';
import type { HomeView } from '../home/home.ts';
import { oneLine } from '../text.ts';
import {
  examples,
  homeOption,
  brokersOption,
  registryOption,
  configOption,
  jsonOption,
  pipelineOption,
} from './options.ts';
import { budgetRows } from './budget.ts';
import { counted, jsonLine, print } from './output.ts';
import { auditReport } from '../../processors/rules/audit.ts';
import { auditLines, perPairText, savedText } from './account.ts';
import { short } from './progress.ts';
import { iterationsIn, standingOf, type Standing } from './standing.ts';
import {
  homeFlag,
  ingestAgain,
  placeOf,
  runAgain,
  workerFor,
  type PipelineFlags,
} from './flags.ts';
import { withView } from './pipeline.ts';

interface Flags extends PipelineFlags {
  readonly iteration: string;
  readonly partitions?: true;
  readonly json?: true;
}

export const statusCommand = (): Command =>
  new Command('status')
    .summary('how far a home is, and what to do next')
    .description(
      'Counts what a home holds, per iteration: outcomes, pairs, calls, tokens, what is waiting. It only reads, also while a run goes on.',
    )
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .addOption(configOption())
    .addOption(new Option('--iteration <id>', 'one iteration, or all').default('all'))
    .option('--partitions', 'where each stage stands in each partition, and who works on it')
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar status',
        'spar status --home runs/a --iteration 2',
        'spar status --json | jq .',
      ),
    )
    .action(async (flags: Flags, command: Command) => {
      await withView(flags, command, async (view, config) => {
        const opened = await iterationsIn(view);
        const wanted = opened.filter(({ id }) => [id, 'all'].includes(flags.iteration));
        if (wanted.length === 0) throw new RunError(await noneText(opened, view, flags));
        for (const manifest of wanted) {
          const standing = await standingOf(view, manifest.id, config.budget);
          await print(
            flags.json
              ? jsonLine(statusJson(manifest, standing))
              : statusText(manifest, standing, view, flags),
          );
        }
      });
    });

async function noneText(
  opened: readonly Iteration[],
  view: HomeView,
  flags: Flags,
): Promise<string> {
  const place = placeOf(view);
  if (opened.length > 0) {
    const ids = opened.map(({ id }) => oneLine(id, 80)).join(', ');
    return `there is no iteration ${oneLine(flags.iteration, 80)} in ${place}; it has ${ids}`;
  }
  const begin = flags.iteration === 'all' ? '1' : flags.iteration;
  if (!view.isShared) {
    return `nothing has been run in ${place} yet: start with spar run FILE${homeFlag(flags)}`;
  }
  const ends = await view.log.ends(nameOnLog(view.pipeline, topics.instructions));
  return ends.some(({ earliest, latest }) => latest > earliest)
    ? `no worker has begun in ${place} yet: start one with ${workerFor(begin, flags)}`
    : `${place} has no instructions yet: spar ingest FILE${homeFlag(flags)} puts some there, and ` +
        `${workerFor(begin, flags)} works on them`;
}

function statusJson({ mode, seed, rules }: Iteration, standing: Standing): object {
  const { iteration, tally, counts, account, stages, depths } = standing;
  const { unreadSources, complete, budget } = standing;
  const { admitted, ended, outcomes, deadLetters } = tally;
  return {
    iteration,
    mode,
    seed,
    rules,
    complete,
    unreadSources,
    admitted,
    ended,
    outcomes: outcomeCounts(outcomes),
    pairs: outcomes.paired,
    deadLetters,
    acceptanceRate: acceptanceRate(standing),
    acceptedByDepth: depths,
    stages,
    ...counts,
    ...account,
    judgeAudit: auditReport(standing.audit),
    spentOnEnded: tally.spend,
    budget,
  };
}

/** Share of the searches that found something; null before the first one has ended. */
function acceptanceRate({ tally: { outcomes } }: Standing): number | null {
  const trees = outcomes.paired + outcomes.exhausted;
  return trees === 0 ? null : outcomes.paired / trees;
}

function statusText(
  { mode }: Iteration,
  standing: Standing,
  { isShared }: HomeView,
  flags: Flags,
): string {
  const { iteration, tally, counts, stages, depths, unreadSources, complete, budget } = standing;
  const { admitted, outcomes, deadLetters } = tally;
  const { retries } = counts;
  const rate = acceptanceRate(standing);
  const byDepth = Object.entries(depths).map(([depth, trees]) => `${trees} at depth ${depth}`);
  const waiting = stages.filter((stage) => stage.waiting > 0);
  const retried = Object.entries(retries).filter(([, times]) => times > 0);
  const row = (name: string, text: string) => `  ${pc.dim(name.padEnd(14))}${text}`;
  return [
    `${pc.bold(`Iteration ${oneLine(iteration, 80)}`)} (${oneLine(mode, 20)}): ${
      complete ? pc.green('complete') : pc.yellow('not finished')
    }`,
    row('instructions', `${Math.floor(tally.ended)} of ${admitted} ended`),
    ...unreadSources.map((name) =>
      row('source', pc.yellow(`${oneLine(name, 100)} was not read to its end`)),
    ),
    row(
      'outcomes',
      [
        pc.green(counted(outcomes.paired, 'pair')),
        `${outcomes['all-passed']} all passed`,
        `${outcomes.undecided} undecided`,
        `${outcomes.exhausted} exhausted`,
        `${outcomes.failed} failed`,
        ...(outcomes.stopped > 0 ? [`${outcomes.stopped} stopped`] : []),
      ].join(', '),
    ),
    ...(rate === null
      ? []
      : [row('accepted', [`${Math.round(rate * 100)} % of the trees`, ...byDepth].join(', '))]),
    row(
      'waiting',
      waiting.length === 0
        ? 'nothing'
        : waiting.map((stage) => `${stage.waiting} for ${stage.stage}`).join(', '),
    ),
    ...askedRows(standing).map(([name, text]) => row(name, text)),
    ...[
      ['per pair', perPairText(standing.account)],
      ['saved', savedText(standing.account)],
    ].flatMap(([name, text]) => (name && text ? [row(name, text)] : [])),
    ...auditLines(standing.audit).map((text, index) => row(index === 0 ? 'audit' : '', text)),
    ...(budget ? budgetRows(budget) : []).map((text, index) =>
      row(index === 0 ? 'budget' : '', text),
    ),
    ...(retried.length === 0
      ? []
      : [row('retries', retried.map(([cause, times]) => `${times} × ${cause}`).join(', '))]),
    ...(deadLetters === 0 ? [] : [row('dead letters', pc.red(String(deadLetters)))]),
    ...(stages.some(({ members }) => members.length > 0) || flags.partitions === true
      ? stageRows(stages, flags.partitions === true)
      : []),
    ...nextSteps(standing, isShared, flags).map((step, index) =>
      row(index === 0 ? 'next' : '', step),
    ),
    '',
  ].join('\n');
}

/** As the journals of this machine have it; where it has none, as far as outcomes tell. */
function askedRows({ counts, tally }: Standing): readonly (readonly [string, string])[] {
  const { modelCalls, generations, tokens, cost } = counts;
  const calls = total(modelCalls);
  const tokensText = (prompt: number, generated: number, price: number | null) =>
    `${short(prompt)} prompt, ${short(generated)} generated` +
    (price === null ? '' : `; cost ${price.toFixed(2)}`);
  if (calls === 0 && tally.spend.calls > 0) {
    const { spend } = tally;
    return [
      [
        'asked',
        `${short(spend.calls)} calls for ${short(spend.generations)} texts, for what has ended`,
      ],
      ['tokens', tokensText(spend.prompt_tokens, spend.completion_tokens, spend.cost)],
    ];
  }
  return [
    [
      'asked',
      `${short(calls)} calls for ${short(total(generations))} texts: ` +
        Object.entries(modelCalls)
          .map(([purpose, count]) => `${short(count)} ${purpose}`)
          .join(', '),
    ],
    [
      'tokens',
      tokensText(tokens.prompt, tokens.completion, cost) +
        (tokens.estimatedCalls > 0 ? `, of ${short(tokens.estimatedCalls)} calls estimated` : ''),
    ],
  ];
}

/** Where the stages stand, and who works for them. */
function stageRows(stages: Standing['stages'], byPartition: boolean): readonly string[] {
  const cells = (texts: readonly string[]) =>
    `  ${texts.map((text, index) => (index === 0 ? text.padEnd(14) : text.padStart(11))).join('')}`;
  const sum = (stage: Standing['stages'][number], name: 'lag' | 'inFlight') =>
    stage.partitions.reduce((all, partition) => all + partition[name], 0);
  return [
    pc.dim(cells(['stage', 'lag', 'in flight', 'members'])),
    ...stages.flatMap((stage) => [
      cells([
        stage.stage,
        String(sum(stage, 'lag')),
        String(sum(stage, 'inFlight')),
        String(stage.members.length),
      ]),
      ...(byPartition
        ? stage.partitions.map(({ partition, position, end, lag, inFlight, member }) =>
            pc.dim(
              `${cells([`  ${partition}`, String(lag), String(inFlight)])}  ${position} of ${end}` +
                (member === null ? '' : `  ${oneLine(member, 80)}`),
            ),
          )
        : []),
    ]),
  ];
}

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

function nextSteps(standing: Standing, isShared: boolean, flags: Flags): readonly string[] {
  const { tally, complete } = standing;
  const home = homeFlag(flags);
  return [
    ...(isShared ? goOnThere(standing, flags) : goOnHere(standing)),
    ...(tally.deadLetters > 0
      ? [`spar dead-letters list${home}: what could not be processed`]
      : []),
    ...(tally.outcomes.paired > 0
      ? [`spar pair${home}: look at a pair`, `spar export${home}: write training files`]
      : []),
    ...(complete && tally.outcomes.paired === 0
      ? [`spar tap outcomes${home}: why there are no pairs`]
      : []),
  ];
}

/** One process does it all, and the same command goes on. */
const goOnHere = ({ complete, unreadSources, budget }: Standing): readonly string[] => [
  ...unreadSources.map(
    (name) => `${runAgain(name)}: the same command, unless it is going on, reads the rest`,
  ),
  ...(complete || unreadSources.length > 0
    ? []
    : [
        'a run that is going on will finish it; if none is, give the same spar run command again' +
          (budget ? ', with a larger budget if this one is used up' : ''),
      ]),
];

/** On a cluster some read sources, and others work. */
function goOnThere(standing: Standing, flags: Flags): readonly string[] {
  const { iteration, complete, stages, unreadSources } = standing;
  const waiting = stages.filter((stage) => stage.waiting > 0);
  const alone = waiting.filter(({ members }) => members.length === 0).map(({ stage }) => stage);
  const worker = workerFor(iteration, flags);
  return [
    ...unreadSources.map(
      (name) =>
        `${ingestAgain(name, iteration, flags)}: unless it is being read, this reads the rest`,
    ),
    ...(alone.length > 0 ? [`${worker}: nobody works on ${alone.join(', ')}`] : []),
    ...(complete || alone.length > 0 || unreadSources.length > 0
      ? []
      : [`workers that are going on will finish it; if none is, ${worker}`]),
  ];
}
