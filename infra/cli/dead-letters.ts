import { Command, Option } from 'commander';
import pc from 'picocolors';
import type { DeadLetter } from '../../schemas/records.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { RunError, UsageError } from '../errors.ts';
import { latestRow, rowIn } from '../codec/rows.ts';
import type { RecordOrigin } from '../codec/serde.ts';
import { resolveCluster } from '../config/cluster.ts';
import type { HomeView } from '../home/home.ts';
import type { NewRecord } from '../log/log.ts';
import { newestFirst, scan } from '../log/scan.ts';
import { retryHeader, revisionOf } from '../runtime/headers.ts';
import { oneLine } from '../text.ts';
import {
  examples,
  homeOption,
  brokersOption,
  registryOption,
  configOption,
  jsonOption,
  pipelineOption,
  wholeNumber,
} from './options.ts';
import { indented, jsonLine, jsonText, print } from './output.ts';
import { homeFlag, placeOf, type PipelineFlags } from './flags.ts';
import { configOf, openPipeline, withView, workLogger } from './pipeline.ts';
import { decodedOrBytes } from './view.ts';

interface Flags extends PipelineFlags {
  readonly limit: number;
  readonly all?: true;
  readonly json?: true;
}

export const deadLettersCommand = (): Command =>
  new Command('dead-letters')
    .summary('what could not be processed, and how to try it again')
    .description(
      'A record that can never succeed as it is ends as a dead letter, with its bytes and the cause; all others go on.',
    )
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(retryCommand())
    .addHelpText(
      'after',
      examples(
        'spar dead-letters list',
        'spar dead-letters show search.evaluate/0/17',
        'spar dead-letters retry --all',
      ),
    );

const listCommand = (): Command =>
  subcommand('list')
    .summary('the newest first')
    .description('Lists dead letters, the newest first, with cause and error.')
    .option('--limit <number>', 'so many at most', wholeNumber(1), 50)
    .addOption(jsonOption())
    .addHelpText('after', examples('spar dead-letters list', 'spar dead-letters list --json'))
    .action(async (flags: Flags, command: Command) => {
      await withView(flags, command, (view) => list(view, flags));
    });

const showCommand = (): Command =>
  subcommand('show')
    .summary('one of them whole')
    .description('Shows a dead letter: where it came from, its headers, the error and its value.')
    .argument('<id>', 'as list prints it')
    .addOption(jsonOption())
    .addHelpText('after', examples('spar dead-letters show search.evaluate/0/17'))
    .action(async (id: string, flags: Flags, command: Command) => {
      await withView(flags, command, (view) => show(view, id, flags));
    });

const retryCommand = (): Command =>
  subcommand('retry')
    .summary('put one, or all, into the stream again')
    .description(
      `Appends the original bytes to their topic again, each dead letter once; the next run, or the workers of a cluster,
process them. No run may be writing a home meanwhile.`,
    )
    .argument('[id]', 'as list prints it')
    .addOption(new Option('--all', 'every one that was not retried yet'))
    .addHelpText(
      'after',
      examples('spar dead-letters retry search.evaluate/0/17', 'spar dead-letters retry --all'),
    )
    .action(async (id: string | undefined, flags: Flags, command: Command) => {
      if ((id === undefined) === (flags.all === undefined)) {
        throw new UsageError('name one dead letter, or give --all');
      }
      await retry(id ?? null, flags, command);
    });

/** A usage error of a subcommand ends like any other, not with an exit of its own. */
const subcommand = (name: string): Command =>
  new Command(name)
    .exitOverride()
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .addOption(configOption())
    .addOption(pipelineOption());

async function list(view: HomeView, flags: Flags): Promise<void> {
  const topic = nameOnLog(view.pipeline, topics.deadLetters);
  const retried = await retriedIn(view);
  let printed = 0;
  let more = 0;
  for await (const record of newestFirst(view.log, topic)) {
    if (printed === flags.limit) {
      more = (await countOf(view, topic)) - printed;
      break;
    }
    const letter = await rowIn(view, topics.deadLetters, record);
    if (!letter) continue;
    printed++;
    const { timestamp } = record;
    await print(
      flags.json
        ? jsonLine({ ...letter, timestamp, retried: retried.has(letter.id) })
        : listText(letter, timestamp, retried.has(letter.id)),
    );
  }
  if (printed === 0) {
    throw new RunError(
      `there are no dead letters in ${placeOf(view)}: everything could be processed (spar status${homeFlag(flags)} has the rest)`,
    );
  }
  if (flags.json) return;
  if (more > 0) await print(`… and ${more} more (--limit)\n`);
  await print(`\nLook at one: spar dead-letters show ID${homeFlag(flags)}\n`);
}

const listText = (letter: DeadLetter, timestamp: number, retried: boolean): string =>
  [
    `${pc.bold(oneLine(letter.id, 80))}  ${new Date(timestamp).toISOString()}  ${pc.red(oneLine(letter.cause, 40))}` +
      `  ${oneLine(letter.key ?? '(no key)', 80)}${retried ? pc.dim('  retried') : ''}`,
    `  ${oneLine(letter.error, 160)}`,
    '',
  ].join('\n');

const countOf = async ({ log }: HomeView, topic: string): Promise<number> =>
  (await log.ends(topic)).reduce((sum, { earliest, latest }) => sum + latest - earliest, 0);

async function show(view: HomeView, id: string, flags: Flags): Promise<void> {
  const letter = await letterOf(view, id, flags);
  const topic = topicOf(letter.topic);
  const value = topic
    ? await decodedOrBytes(view, topic, letter.value, originOf(letter, view, topic))
    : { base64: letter.value };
  if (flags.json) {
    await print(jsonLine({ ...letter, value }));
    return;
  }
  const row = (name: string, text: string) => `  ${pc.dim(name.padEnd(10))}${text}`;
  await print(
    [
      pc.bold(`Dead letter ${oneLine(letter.id, 80)}`),
      row('stage', oneLine(letter.stage, 80)),
      row('key', oneLine(letter.key ?? '(none)', 200)),
      row('iteration', oneLine(letter.iteration ?? '(unknown)', 80)),
      row('cause', pc.red(oneLine(letter.cause, 80))),
      row('error', oneLine(letter.error, 1000)),
      row('attempts', `${letter.attempts}, retried ${letter.revision} times before`),
      row('headers', oneLine(letter.headers, 1000)),
      `  ${pc.dim('value')}`,
      indented(jsonText(value)),
      '',
      `Try it again: spar dead-letters retry ${oneLine(letter.id, 80)}${homeFlag(flags)}`,
      '',
    ].join('\n'),
  );
}

/** What a producer without a registry leaves unsaid in the value. */
const originOf = (
  { offset, key }: DeadLetter,
  { pipeline }: HomeView,
  topic: TopicInfo,
): RecordOrigin => ({ topic: nameOnLog(pipeline, topic), offset, key, timestamp: 0 });

/** Read into one transaction; letters hold up to 8 MiB each. */
const retriesAtOnce = 16;

async function retry(id: string | null, flags: Flags, command: Command): Promise<void> {
  // Only a look: opening for writing would make a home where there is none.
  await withView(flags, command, async (view) => {
    if (id !== null) await letterOf(view, id, flags);
  });
  const config = configOf(flags, command);
  const cluster = resolveCluster(config, process.env);
  const logger = workLogger(flags.home, config, () => cluster?.secrets ?? []);
  const { home, close } = await openPipeline(flags, config, cluster, logger);
  try {
    const retried = await retriedIn(home);
    if (id !== null && retried.has(id)) {
      throw new RunError(
        `${oneLine(id, 80)} was retried already: if it failed again, it left another dead letter`,
      );
    }
    const again: NewRecord[] = [];
    let [count, left] = [0, 0];
    const flush = async () => {
      await home.log.append(again);
      count += again.length;
      again.length = 0;
    };
    for await (const record of scan(home.log, nameOnLog(home.pipeline, topics.deadLetters))) {
      const letter = await rowIn(home, topics.deadLetters, record);
      if (!letter) continue;
      const topic = topicOf(letter.topic);
      if ((id !== null && letter.id !== id) || retried.has(letter.id) || !topic) continue;
      if (isCut(letter)) {
        if (id !== null) throw new RunError(cutText(letter));
        left++;
        continue;
      }
      retried.add(letter.id);
      again.push(recordOf(letter, nameOnLog(home.pipeline, topic)));
      if (again.length === retriesAtOnce) await flush();
    }
    if (again.length > 0) await flush();
    if (left > 0) {
      const they =
        left === 1
          ? '1 dead letter stays: its record is'
          : `${left} dead letters stay: their records are`;
      process.stderr.write(`${they} too large to be read, or in no form that can be read.\n`);
    }
    if (count === 0) throw new RunError(`there is nothing to retry in ${placeOf(home)}`);
    const it = count === 1 ? 'it' : 'them';
    await print(
      `${count === 1 ? '1 record is' : `${count} records are`} back in the stream. ` +
        (cluster
          ? `Workers process ${it}.\n`
          : `Give the same spar run command again to process ${it}.\n`),
    );
  } finally {
    await close();
  }
}

/** A value that no dead letter holds stayed where it was; an empty one is not too large for anything. */
const isCut = ({ cause, value }: DeadLetter): boolean =>
  (cause === 'too-large' || cause === 'unreadable') && value.length === 0;

const cutText = ({ id, topic, partition, offset, cause, error }: DeadLetter): string =>
  cause === 'unreadable'
    ? `${oneLine(id, 80)} cannot be tried again: ${oneLine(error, 400)}. Write it again with another producer, or in ` +
      'smaller batches.'
    : `${oneLine(id, 80)} cannot be tried again: its record is larger than any that is read, and is still at offset ` +
      `${offset} of partition ${partition} of ${oneLine(topic, 80)}. Put it into the stream in a smaller form.`;

const recordOf = (letter: DeadLetter, topic: string): NewRecord => ({
  topic,
  partition: letter.partition,
  key: letter.key,
  headers: {
    ...headersOf(letter),
    revision: String(letter.revision + 1),
    [retryHeader]: letter.id,
  },
  value: letter.value,
});

function headersOf({ id, headers }: DeadLetter): Readonly<Record<string, string>> {
  const value: unknown = JSON.parse(headers);
  if (typeof value !== 'object' || value === null) {
    throw new RunError(`the headers of dead letter ${oneLine(id, 80)} are not an object`);
  }
  // The runtime wrote them as the log had them: texts by name.
  return value as Readonly<Record<string, string>>;
}

/**
 * The dead letters that are back in the stream, or were: the records that `retry` made name them for as long as their
 * topic keeps them, and what such a tree ended with has a later revision for ever.
 *
 * Between the two is only a tree that has not ended although it was retried so long ago that its topic has forgotten.
 */
async function retriedIn(view: Pick<HomeView, 'log' | 'serde' | 'pipeline'>): Promise<Set<string>> {
  const sources = new Set<TopicInfo>();
  /** Letters whose topics forget, by whom they are about. */
  const passing = new Map<string, DeadLetter[]>();
  for await (const record of scan(view.log, nameOnLog(view.pipeline, topics.deadLetters))) {
    const letter = await rowIn(view, topics.deadLetters, record);
    const topic = letter && topicOf(letter.topic);
    if (!letter || !topic) continue;
    sources.add(topic);
    if (typeof topic.kept !== 'object' || letter.key === null) continue;
    // Their bytes are not needed for this, and there may be many.
    const about = { ...letter, value: new Uint8Array() };
    passing.set(letter.key, [...(passing.get(letter.key) ?? []), about]);
  }
  const retried = new Set<string>();
  for (const source of sources) {
    for await (const { headers } of scan(view.log, nameOnLog(view.pipeline, source))) {
      const letter = headers[retryHeader];
      if (letter !== undefined) retried.add(letter);
    }
  }
  if (passing.size === 0) return retried;
  for await (const record of scan(view.log, nameOnLog(view.pipeline, topics.outcomes))) {
    for (const { id, revision } of passing.get(record.key ?? '') ?? []) {
      if (revisionOf(record) > revision) retried.add(id);
    }
  }
  return retried;
}

async function letterOf(view: HomeView, id: string, flags: Flags): Promise<DeadLetter> {
  const letter = await latestRow(view, topics.deadLetters, id);
  if (letter) return letter;
  throw new RunError(
    `there is no dead letter ${oneLine(id, 80)}: spar dead-letters list${homeFlag(flags)} lists them`,
  );
}

/** Null if the topic is not one of this version. */
const topicOf = (name: string): TopicInfo | null =>
  Object.values(topics).find((topic) => topic.name === name) ?? null;
