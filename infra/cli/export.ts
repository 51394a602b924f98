import { Command, Option } from 'commander';
import pc from 'picocolors';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { RunError } from '../errors.ts';
import type { ExportReport } from '../exports/export.ts';
import type { HomeView } from '../home/home.ts';
import { findIteration } from '../run/iteration.ts';
import { writeExports } from '../run/write-exports.ts';
import { unlessAborted } from '../signals.ts';
import { oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import {
  examples,
  homeOption,
  brokersOption,
  registryOption,
  iterationOption,
  jsonOption,
  overridesOf,
  pipelineOption,
  wholeNumber,
} from './options.ts';
import { counted, jsonLine, print } from './output.ts';
import { standingOf } from './standing.ts';
import { homeFlag, type PipelineFlags } from './flags.ts';
import { withView } from './pipeline.ts';

interface Flags extends PipelineFlags {
  readonly out: string;
  readonly iteration: string;
  readonly config?: string;
  readonly format?: Config['export']['formats'];
  readonly follow?: true;
  readonly every: number;
  readonly json?: true;
}

export const exportCommand = (): Command =>
  new Command('export')
    .summary('write training files from what a home holds')
    .description(
      `Writes preference pairs and the refiner's training data for LLaMA-Factory and TRL. The same content makes the
same files. An iteration that is not finished is written to partial/ within the folder, so that a part is never
taken for the whole. With --follow they are written again as more comes, until interrupted.`,
    )
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .option('--out <dir>', 'where the files go', 'spar-out')
    .addOption(iterationOption())
    .addOption(
      new Option('--format <format...>', 'only these (default: both)').choices([
        'llamafactory',
        'trl',
      ]),
    )
    .option('--follow', 'write them again as more comes, until interrupted')
    .option('--every <seconds>', 'how often at most, with --follow', wholeNumber(1), 30)
    .option('--config <file>', 'a YAML file with export settings')
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar export --out training',
        'spar export --home runs/a --iteration 2 --format trl --out training',
        'spar export --follow --every 60 --config spar.yaml',
      ),
    )
    .action(async (flags: Flags, command: Command) => {
      const config = loadConfig(flags.config ?? null, overridesOf(command, process.env));
      const formats = flags.format ?? config.export.formats;
      await withView(flags, command, async (view) => {
        const { iteration, out } = flags;
        if (!(await findIteration(view.log, view.serde, view.pipeline, iteration))) {
          throw new RunError(
            `there is no iteration ${iteration} in ${flags.home}: spar status${homeFlag(flags)} lists what there is`,
          );
        }
        const write = async () => {
          const { complete } = await standingOf(view, iteration);
          const report = await writeExports({
            home: view,
            iteration,
            out,
            config: { export: { ...config.export, formats } },
            complete,
          });
          await print(
            flags.json ? jsonLine({ ...report, complete }) : reportText(report, complete, flags),
          );
        };
        if (flags.follow) await again(view, write, flags.every * 1000);
        else await write();
      });
    });

/** Writes now, and whenever something has ended since, not more often than that; until it is interrupted. */
async function again(view: HomeView, write: () => Promise<void>, everyMs: number): Promise<void> {
  const stop = new AbortController();
  const onInterrupt = () => stop.abort(new Error('interrupted'));
  process.on('SIGINT', onInterrupt).on('SIGTERM', onInterrupt);
  let ended = Promise.withResolvers<undefined>();
  // Whatever a file holds is followed by an outcome.
  const failed = Promise.withResolvers<never>();
  // Nobody waits for it while files are written.
  failed.promise.catch(() => undefined);
  const leave = view.log.watch(nameOnLog(view.pipeline, topics.outcomes), {
    appended: () => ended.resolve(undefined),
    failed: failed.reject,
  });
  try {
    while (!stop.signal.aborted) {
      ended = Promise.withResolvers();
      await write();
      await systemTime.sleep(everyMs, stop.signal);
      await unlessAborted(Promise.race([ended.promise, failed.promise]), stop.signal);
    }
  } catch (error) {
    if (!stop.signal.aborted) throw error;
  } finally {
    leave();
    process.off('SIGINT', onInterrupt).off('SIGTERM', onInterrupt);
  }
}

function reportText(report: ExportReport, complete: boolean, flags: Flags): string {
  const { folder, files, counts } = report;
  const left = Object.entries(report.rejectedByReason).filter(([, rows]) => rows > 0);
  return [
    `${pc.bold(counted(counts.preference, 'preference pair'))} and ${counted(counts.refiner_sft, 'refiner conversation')} in ${oneLine(folder, 200)}`,
    ...files.map(
      ({ path, rows }) => `  ${path}${rows === null ? '' : pc.dim(`  ${counted(rows, 'row')}`)}`,
    ),
    ...(left.length === 0
      ? []
      : [`  left out: ${left.map(([reason, rows]) => `${rows} ${reason}`).join(', ')}`]),
    ...(complete
      ? []
      : [
          pc.yellow('The iteration is not finished, so this is a part.') +
            ` See spar status${homeFlag(flags)}.`,
        ]),
    '',
  ].join('\n');
}
