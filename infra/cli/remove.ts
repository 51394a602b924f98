import { userInfo } from 'node:os';
import { Command } from 'commander';
import { topics } from '../../topology/topics.ts';
import { latestRow } from '../codec/rows.ts';
import { resolveCluster } from '../config/cluster.ts';
import { RunError, UsageError } from '../errors.ts';
import type { HomeView } from '../home/home.ts';
import {
  decide,
  decisionOn,
  hasInstruction,
  instructionTarget,
  pairTarget,
  type Target,
} from '../run/remove.ts';
import { oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import { homeFlag, pipelineOptions, shellWord, type PipelineFlags } from './flags.ts';
import { examples, iterationOption, jsonOption } from './options.ts';
import { jsonLine, print } from './output.ts';
import { configOf, openPipeline, withView, workLogger } from './pipeline.ts';
import { treeIds } from './view.ts';

interface Flags extends PipelineFlags {
  readonly why: string;
  readonly who?: string;
  readonly undo?: true;
  readonly json?: true;
}

export const rejectCommand = (): Command =>
  withFlags(new Command('reject'))
    .summary('keep one pair out of exports')
    .description(
      `Keeps a pair out of every later export, and the refinement behind it out of the refiner's training data. Nothing is
deleted: who decided and why is a record of the topic removals, and --undo takes it back. Files that are written
already stay as they are until the next spar export. No run may be writing a home meanwhile.`,
    )
    .argument('<pair>', 'its id (iteration/instruction/tree), or that of its instruction')
    .addOption(iterationOption())
    .addHelpText(
      'after',
      examples(
        'spar reject 1/my-id/0 --why "the chosen text is wrong about the date"',
        'spar reject 1/my-id/0 --undo --why "it was right after all"',
        'spar tap removals',
      ),
    )
    .action(async (id: string, flags: Flags & { readonly iteration: string }, command: Command) => {
      await remove('reject', id, flags, command, (view) => findPair(view, id, flags));
    });

export const purgeCommand = (): Command =>
  withFlags(new Command('purge'))
    .summary('keep an instruction, and all that came of it, out of exports')
    .description(
      `Keeps an instruction out of every later export with everything derived from it: its pairs in all iterations, and
what its trees and verdicts give to the refiner's training data. Nothing is deleted: who decided and why is a record
of the topic removals, and --undo takes it back. Files that are written already stay as they are until the next spar
export. No run may be writing a home meanwhile.`,
    )
    .argument('<instruction>', 'its id')
    .addHelpText(
      'after',
      examples(
        'spar purge my-id --why "the author took it back"',
        'spar purge my-id --undo --why "the author agreed"',
        'spar tap removals',
      ),
    )
    .action(async (id: string, flags: Flags, command: Command) => {
      await remove('purge', id, flags, command, (view) => findInstruction(view, id, flags));
    });

function withFlags(command: Command): Command {
  for (const option of pipelineOptions()) command.addOption(option);
  return command
    .requiredOption('--why <text>', 'the reason, for whoever asks later')
    .option('--who <name>', 'who decides (default: whoever is logged in)')
    .option('--undo', 'let exports have it again')
    .addOption(jsonOption());
}

async function remove(
  name: 'reject' | 'purge',
  id: string,
  flags: Flags,
  command: Command,
  find: (view: HomeView) => Promise<Target>,
): Promise<void> {
  if (flags.why.trim() === '') throw new UsageError('--why needs a reason');
  // Only a look: opening for writing would make a home where there is none.
  const target = await withView(flags, command, find);
  const config = configOf(flags, command);
  const cluster = resolveCluster(config, process.env);
  const logger = workLogger(flags.home, config, () => cluster?.secrets ?? []);
  const { home, close } = await openPipeline(flags, config, cluster, logger);
  try {
    const before = await decisionOn(home, target);
    const removed = flags.undo !== true;
    const what = `${target.scope} ${oneLine(target.pair_id ?? target.instruction_id, 80)}`;
    if ((before?.removed ?? false) === removed) {
      throw new RunError(
        before
          ? `${what} is ${removed ? 'out of' : 'back in'} exports already (${oneLine(before.who, 40)}: ${oneLine(before.why)})`
          : `${what} was never taken out of exports`,
      );
    }
    const who = flags.who ?? userInfo().username;
    const removal = await decide(home, target, { removed, why: flags.why, who }, systemTime);
    await print(
      flags.json
        ? jsonLine(removal)
        : removed
          ? `The ${what} stays out of every export from now on.\nTake it back: spar ${name} ${shellWord(id)} --undo --why …${homeFlag(flags)}\n`
          : `The next export may use the ${what} again.\n`,
    );
  } finally {
    await close();
  }
}

async function findPair(
  view: HomeView,
  id: string,
  flags: Flags & { readonly iteration: string },
): Promise<Target> {
  for (const key of treeIds(id, flags.iteration)) {
    const pair = await latestRow(view, topics.pairs, key);
    if (pair) return pairTarget(pair);
  }
  throw new RunError(
    `there is no pair ${oneLine(id, 80)}: spar tap preference-pairs${homeFlag(flags)} lists what there is`,
  );
}

async function findInstruction(view: HomeView, id: string, flags: Flags): Promise<Target> {
  if (await hasInstruction(view, id)) return instructionTarget(id);
  throw new RunError(
    `there is no instruction ${oneLine(id, 80)}: spar tap instructions${homeFlag(flags)} lists what there is`,
  );
}
