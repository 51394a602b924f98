import { Command, Option } from 'commander';
import pc from 'picocolors';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { RunError } from '../errors.ts';
import type { ExportReport } from '../exports/export.ts';
import { findIteration } from '../run/iteration.ts';
import { writeExports } from '../run/write-exports.ts';
import { oneLine } from '../text.ts';
import {
  examples,
  homeOption,
  brokersOption,
  registryOption,
  iterationOption,
  jsonOption,
  overridesOf,
  pipelineOption,
} from './options.ts';
import { counted, jsonLine, print } from './output.ts';
import { standingOf } from './standing.ts';
import { withView, type PipelineFlags } from './pipeline.ts';
import { homeFlag } from './view.ts';

interface Flags extends PipelineFlags {
  readonly out: string;
  readonly iteration: string;
  readonly config?: string;
  readonly format?: Config['export']['formats'];
  readonly json?: true;
}

export const exportCommand = (): Command =>
  new Command('export')
    .summary('write training files from what a home holds')
    .description(
      `Writes preference pairs and the refiner's training data for LLaMA-Factory and TRL. The same content makes the
same files. An iteration that is not finished is written to partial/ within the folder, so that a part is never
taken for the whole.`,
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
    .option('--config <file>', 'a YAML file with export settings')
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar export --out training',
        'spar export --home runs/a --iteration 2 --format trl --out training',
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
      });
    });

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
