import { Command } from 'commander';
import pc from 'picocolors';
import { resolveCluster } from '../config/cluster.ts';
import { UsageError } from '../errors.ts';
import { openHome, viewHome } from '../home/home.ts';
import { copy, type CopyProgress, type CopyReport } from '../run/copy.ts';
import { systemTime } from '../time.ts';
import { onInterrupt } from './interrupt.ts';
import { examples, jsonOption } from './options.ts';
import { counted, jsonLine, print } from './output.ts';
import { pipelineOptions, workerFor, type PipelineFlags } from './flags.ts';
import { checkTopics, configOf, withView, workLogger } from './pipeline.ts';

interface Flags extends PipelineFlags {
  readonly json?: true;
}

export const copyCommand = (): Command => {
  const command = new Command('copy').summary('move a home to a Kafka cluster').description(
    `Copies everything that the pipeline of a home holds into the topics of a cluster, and where each stage stands, so
that workers go on where the last run ended. The topics must be there (spar topics apply), and nobody may work on them
yet. An interrupted copy goes on where it was: give the same command again.

The home stays as it is. Workers that share its folder (--home) find its journal, and ask for nothing again.`,
  );
  for (const option of pipelineOptions()) command.addOption(option);
  return command
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar topics apply --brokers kafka:9092 --registry http://registry:8081',
        'spar copy --home .spar --brokers kafka:9092 --registry http://registry:8081',
        'spar worker --home .spar --brokers kafka:9092 --registry http://registry:8081 --model my-model',
      ),
    )
    .action(async (flags: Flags, self: Command) => {
      await copyHome(flags, self);
    });
};

async function copyHome(flags: Flags, command: Command): Promise<void> {
  const { home: folder } = flags;
  const config = configOf(flags, command);
  const { pipeline } = config;
  const cluster = resolveCluster(config, process.env);
  if (!cluster) throw new UsageError('copy goes to a cluster: give --brokers and --registry');
  // Only a look: opening for writing would make a home where there is none.
  await (await viewHome({ folder, pipeline, time: systemTime })).close();
  await checkTopics(
    flags,
    config,
    cluster,
    workLogger(folder, config, () => cluster.secrets),
  );
  const stop = new AbortController();
  const say = (text: string) => process.stderr.write(`${text}\n`);
  const interrupts = onInterrupt(stop, (text) => say(pc.yellow(text)));
  try {
    // For writing, so that no run goes on in it meanwhile.
    const from = await openHome({ folder, pipeline, time: systemTime });
    try {
      await withView(flags, command, async (to) => {
        const progress = flags.json ? () => undefined : teller(say);
        const report = await copy({ from, to, progress, signal: stop.signal });
        await print(flags.json ? jsonLine(report) : reportText(report, flags));
      });
    } finally {
      await from.close();
    }
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    say('Stopped: what is copied stays, and the same command goes on behind it.');
    process.exitCode = interrupts.signal === 'SIGINT' ? 130 : 143;
  } finally {
    interrupts.end();
  }
}

/** A line for each topic when it is done, and one now and then while it is not. */
function teller(say: (text: string) => void): (progress: CopyProgress) => void {
  let last = -Infinity;
  return ({ topic, records, of }) => {
    const now = systemTime.monotonic();
    if (records < of && now - last < 5000) return;
    last = now;
    if (of > 0) say(`${topic.padEnd(18)} ${records} of ${of}`);
  };
}

function reportText({ topics, before, groups }: CopyReport, flags: Flags): string {
  const records = Object.values(topics).reduce((sum, count) => sum + count, 0);
  const there = before > 0 ? `, ${before} of them from an earlier copy` : '';
  return [
    `${counted(records, 'record')} of ${flags.home} are in the cluster${there}; ${counted(groups, 'group')} stand where they stood.`,
    `Go on there: ${workerFor('1', flags)}`,
    '',
  ].join('\n');
}
