import { Command, Option } from 'commander';
import pc from 'picocolors';
import { outcomeCounts } from '../run/summary.ts';
import type { Iteration } from '../../schemas/records.ts';
import { RunError } from '../errors.ts';
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
import { counted, jsonLine, print } from './output.ts';
import { short } from './progress.ts';
import { iterationsIn, standingOf, type Standing } from './standing.ts';
import { withView, type PipelineFlags } from './pipeline.ts';
import { homeFlag, runAgain } from './view.ts';

interface Flags extends PipelineFlags {
  readonly iteration: string;
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
      await withView(flags, command, async (view) => {
        const opened = await iterationsIn(view);
        const wanted = opened.filter(({ id }) => [id, 'all'].includes(flags.iteration));
        if (wanted.length === 0) throw new RunError(noneText(opened, flags));
        for (const manifest of wanted) {
          const standing = await standingOf(view, manifest.id);
          await print(
            flags.json
              ? jsonLine(statusJson(manifest, standing))
              : statusText(manifest, standing, flags),
          );
        }
      });
    });

function noneText(opened: readonly Iteration[], { home, iteration }: Flags): string {
  return opened.length === 0
    ? `nothing has been run in ${home} yet: start with spar run FILE${homeFlag({ home })}`
    : `there is no iteration ${oneLine(iteration, 80)} in ${home}; it has ${opened
        .map(({ id }) => oneLine(id, 80))
        .join(', ')}`;
}

function statusJson({ mode, seed, rules }: Iteration, standing: Standing): object {
  const { iteration, tally, counts, stages, depths, unreadSources, complete } = standing;
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
  };
}

/** Share of the searches that found something; null before the first one has ended. */
function acceptanceRate({ tally: { outcomes } }: Standing): number | null {
  const trees = outcomes.paired + outcomes.exhausted;
  return trees === 0 ? null : outcomes.paired / trees;
}

function statusText({ mode }: Iteration, standing: Standing, flags: Flags): string {
  const { iteration, tally, counts, stages, depths, unreadSources, complete } = standing;
  const { admitted, outcomes, deadLetters } = tally;
  const { modelCalls, generations, tokens, cost, retries } = counts;
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
    row(
      'asked',
      `${short(total(modelCalls))} calls for ${short(total(generations))} texts: ` +
        Object.entries(modelCalls)
          .map(([purpose, calls]) => `${short(calls)} ${purpose}`)
          .join(', '),
    ),
    row(
      'tokens',
      `${short(tokens.prompt)} prompt, ${short(tokens.completion)} generated` +
        (tokens.estimatedCalls > 0 ? `, of ${short(tokens.estimatedCalls)} calls estimated` : '') +
        (cost === null ? '' : `; cost ${cost.toFixed(2)}`),
    ),
    ...(retried.length === 0
      ? []
      : [row('retries', retried.map(([cause, times]) => `${times} × ${cause}`).join(', '))]),
    ...(deadLetters === 0 ? [] : [row('dead letters', pc.red(String(deadLetters)))]),
    ...nextSteps(standing, flags).map((step, index) => row(index === 0 ? 'next' : '', step)),
    '',
  ].join('\n');
}

const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);

function nextSteps({ tally, complete, unreadSources }: Standing, flags: Flags): readonly string[] {
  const home = homeFlag(flags);
  return [
    ...unreadSources.map(
      (name) => `${runAgain(name)}: the same command, unless it is going on, reads the rest`,
    ),
    ...(complete || unreadSources.length > 0
      ? []
      : [
          'a run that is going on will finish it; if none is, give the same spar run command again',
        ]),
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
