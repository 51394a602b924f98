import { Command, Option } from 'commander';
import pc from 'picocolors';
import { resolveCluster } from '../config/cluster.ts';
import type { Config } from '../config/schema.ts';
import { RunError, UsageError } from '../errors.ts';
import { readInstructions, type InputOptions } from '../input/read.ts';
import { openSeen } from '../input/seen.ts';
import { openSource } from '../input/source.ts';
import { admit, type Admission } from '../run/admit.ts';
import { noteSource } from '../run/iteration.ts';
import { oneLine } from '../text.ts';
import { systemTime } from '../time.ts';
import { onInterrupt } from './interrupt.ts';
import { boundedNotices } from './notices.ts';
import { examples, jsonOption, wholeNumber } from './options.ts';
import { counted, jsonLine, print } from './output.ts';
import { pipelineOptions, type PipelineFlags } from './flags.ts';
import { configOf, openPipeline, workLogger } from './pipeline.ts';

interface Flags extends PipelineFlags {
  readonly iteration?: string;
  readonly format: InputOptions['format'];
  readonly follow?: true;
  readonly limit?: number;
  readonly strict?: true;
  readonly json?: true;
}

export const ingestCommand = (): Command => {
  const command = new Command('ingest')
    .summary('put instructions on a Kafka cluster')
    .description(
      `Puts the instructions of a file into the stream, each once: the same command again adds nothing. Workers sample
them in every iteration, unless --iteration names the one that they are for.

FILE is as for spar run: JSONL, a JSON array or plain text; "-" reads standard input as it comes.`,
    )
    .argument('<file>', 'instructions, or - for standard input')
    .option('--follow', 'go on at the end of the file as it grows, until interrupted')
    .option('--iteration <id>', 'only for this one')
    .addOption(
      new Option('--format <format>', 'of the file')
        .choices(['auto', 'jsonl', 'json', 'text'])
        .default('auto'),
    )
    .option('--limit <number>', 'take only the first so many instructions', wholeNumber(1))
    .option('--strict', 'stop at the first bad line');
  for (const option of pipelineOptions()) command.addOption(option);
  return command
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar ingest instructions.jsonl --brokers kafka:9092 --registry http://registry:8081',
        'my-source | spar ingest - --config spar.yaml',
        'spar ingest growing.jsonl --follow --config spar.yaml',
      ),
    )
    .action(async (file: string, flags: Flags, self: Command) => {
      await ingest(file, flags, configOf(flags, self));
    });
};

async function ingest(file: string, flags: Flags, config: Config): Promise<void> {
  const cluster = resolveCluster(config, process.env);
  if (!cluster) {
    throw new UsageError(
      'ingest needs a cluster: give --brokers and --registry; on one machine, spar run reads the file itself',
    );
  }
  const stop = new AbortController();
  const { signal } = stop;
  const follow = flags.follow ? { time: systemTime, signal, pollMs: 200 } : null;
  const source = await openSource(file, process.stdin, follow);
  const logger = workLogger(flags.home, config, () => cluster.secrets);
  const pipeline = await openPipeline(flags, config, cluster, logger);
  const { home } = pipeline;
  const notices = boundedNotices((text) => process.stderr.write(`${pc.yellow(text)}\n`));
  const interrupts = onInterrupt(stop, notices.say);
  const seen = openSeen();
  const admission = { taken: 0, admitted: 0, duplicates: 0, rejected: 0 };
  const tell = () => process.stderr.write(`${countsText(admission, file)}\n`);
  const telling = setInterval(tell, 10_000);
  const iteration = flags.iteration ?? null;
  const note = async (state: 'unread' | 'read') => {
    if (iteration === null) return;
    await noteSource(home.log, home.serde, home.pipeline, iteration, source.name, state);
  };
  try {
    await note('unread');
    const items = readInstructions(source, {
      format: flags.format,
      maxLineBytes: config.limits.max_line_bytes,
      seen,
    });
    const isRead = await admit(
      items,
      {
        log: home.log,
        serde: home.serde,
        pipeline: home.pipeline,
        iteration,
        time: systemTime,
        limit: flags.limit ?? null,
        strict: flags.strict ?? false,
        ready: () => Promise.resolve(),
        contextTokens: () => null,
        onRejected: notices.bounded,
        signal,
      },
      admission,
    );
    if (isRead) await note('read');
    notices.end();
    await print(
      flags.json
        ? jsonLine({ ...admission, complete: isRead })
        : `${countsText(admission, file)}\n`,
    );
    if (interrupts.signal && !flags.follow) {
      process.exitCode = interrupts.signal === 'SIGINT' ? 130 : 143;
    } else if (admission.taken === 0 && admission.rejected > 0) {
      throw new RunError('no instruction was admitted');
    }
  } finally {
    clearInterval(telling);
    interrupts.end();
    seen.close();
    await pipeline.close();
    if (file === '-') process.stdin.destroy();
  }
}

const countsText = ({ taken, admitted, duplicates, rejected }: Admission, file: string): string =>
  [
    `${counted(admitted, 'instruction')} of ${oneLine(file, 80)} put into the stream`,
    `${taken - admitted} were there`,
    ...(duplicates ? [counted(duplicates, 'duplicate')] : []),
    ...(rejected ? [`${rejected} rejected`] : []),
  ].join(', ');
