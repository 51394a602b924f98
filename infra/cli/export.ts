import { Command, Option } from 'commander';
import pc from 'picocolors';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { loadConfig } from '../config/load.ts';
import { RunError } from '../errors.ts';
import { checkExport } from '../exports/check.ts';
import type { ExportedFile } from '../exports/files.ts';
import type { ExportReport } from '../exports/export.ts';
import { exportFormats } from '../exports/settings.ts';
import type { HomeView } from '../home/home.ts';
import { findIteration } from '../run/iteration.ts';
import { openShards, writeExports } from '../run/write-exports.ts';
import { unlessAborted } from '../signals.ts';
import { oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import { exportBar } from './bar.ts';
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
import { checkText } from './export-check.ts';
import { formatsFor, push, tokenFor, type PushFlags } from './export-push.ts';
import { standingOf } from './standing.ts';
import { homeFlag, placeOf, type PipelineFlags } from './flags.ts';
import { withView } from './pipeline.ts';

interface Flags extends PipelineFlags, PushFlags {
  readonly out: string;
  readonly iteration: string;
  readonly config?: string;
  readonly check?: string | true;
  readonly shards?: true;
  readonly every: number;
}

export const exportCommand = (): Command =>
  new Command('export')
    .summary('write training files from what a home holds')
    .description(
      `Writes preference pairs and the refiner's training data for LLaMA-Factory and TRL, or for others with --format.
The same content makes the same files. An iteration that is not finished is written to partial/ within the folder, so
that a part is never taken for the whole. With --follow the files are written again as more comes, until interrupted;
with --shards, pairs go to shards as they come, which then stay as they are. With --check the files are loaded as
their trainers do, and whatever those would drop, misread or stop at is named.`,
    )
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .option('--out <dir>', 'where the files go', 'spar-out')
    .addOption(iterationOption())
    .addOption(
      new Option('--format <format...>', 'only these (default: llamafactory and trl)').choices(
        exportFormats,
      ),
    )
    .option(
      '--check [dir]',
      'load the files as their trainers do, and show the first rows; with a folder, write nothing',
    )
    .option(
      '--push <owner/name>',
      "put the hub's folder into a data set repository, once all is there",
    )
    .option('--public', 'with --push: everybody may see a repository that has to be made')
    .option('--token-file <file>', 'with --push: holds the token, in place of HF_TOKEN')
    .option('--follow', 'write them again as more comes, until interrupted')
    .option(
      '--shards',
      'write pairs to shards/ as they come, each once; the files themselves only when all are there',
    )
    .option('--every <seconds>', 'how often at most, with --follow', wholeNumber(1), 30)
    .option('--config <file>', 'a YAML file with export settings')
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar export --out training',
        'spar export --home runs/a --iteration 2 --format trl --out training',
        'spar export --check training',
        'spar export --push my-name/my-pairs',
        'spar export --follow --shards',
        'spar export --follow --every 60 --config spar.yaml',
      ),
    )
    .action(async (flags: Flags, command: Command) => {
      if (typeof flags.check === 'string') {
        await check(flags.check, flags);
        return;
      }
      const config = loadConfig(flags.config ?? null, overridesOf(command, process.env));
      const formats = formatsFor(flags, config);
      const token = flags.push === undefined ? null : tokenFor(flags);
      await withView(flags, command, async (view) => {
        const { iteration, out } = flags;
        if (!(await findIteration(view.log, view.serde, view.pipeline, iteration))) {
          throw new RunError(
            `there is no iteration ${iteration} in ${placeOf(view)}: spar status${homeFlag(flags)} lists what there is`,
          );
        }
        const request = {
          home: view,
          iteration,
          out,
          config: { export: { ...config.export, formats } },
        };
        const shards = flags.shards ? await openShards(request) : null;
        const write = async () => {
          const { complete } = await standingOf(view, iteration);
          if (shards) {
            const files = await shards.write(complete);
            await print(flags.json ? jsonLine({ shards: files }) : shardsText(files));
            if (!complete) return;
          }
          const bar = exportBar();
          const report = await writeExports({ ...request, complete, progress: bar.show }).finally(
            bar.end,
          );
          await print(
            flags.json ? jsonLine({ ...report, complete }) : reportText(report, complete, flags),
          );
          if (flags.check) await check(report.folder, flags);
          if (token !== null) await push(report, complete, token, flags);
        };
        try {
          if (flags.follow) await again(view, write, flags.every * 1000);
          else await write();
        } finally {
          shards?.close();
        }
      });
    });

/** @throws RunError if something is wrong with the files. */
async function check(folder: string, { json }: Pick<Flags, 'json'>): Promise<void> {
  const report = await checkExport(folder);
  await print(json ? jsonLine(report) : checkText(report));
  if (report.problems.length > 0) {
    throw new RunError(`${counted(report.problems.length, 'problem')} in the files of ${folder}`);
  }
}

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

function shardsText(files: readonly ExportedFile[]): string {
  const rows = files.reduce((sum, file) => sum + (file.rows ?? 0), 0);
  return `${pc.bold(counted(rows, 'row'))} in ${counted(files.length, 'shard')}\n`;
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
