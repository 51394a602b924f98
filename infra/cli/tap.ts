import { Command, InvalidArgumentError, Option } from 'commander';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { schemaText } from '../codec/avro.ts';
import { UsageError } from '../errors.ts';
import type { HomeView } from '../home/home.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { manyLines, oneLine } from '../text.ts';
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
import { base64, jsonLine, print } from './output.ts';
import { type PipelineFlags } from './flags.ts';
import { withView } from './pipeline.ts';
import { decodedOrBytes } from './view.ts';

interface Flags extends PipelineFlags {
  /** Milliseconds since 1970, or an end of the topic. */
  readonly from: number | 'earliest' | 'latest';
  readonly follow?: true;
  readonly format: 'json' | 'csv';
  readonly json?: true;
  readonly limit?: number;
  readonly partition?: number;
  readonly key?: string;
}

export const tapCommand = (): Command =>
  new Command('tap')
    .summary('print the records of a topic')
    .description(
      `Prints the records of a topic, one JSON object a line, also while a run writes them. It only reads: a run
never notices.

Topics:
${topicList()}`,
    )
    .argument('<topic>', 'its short name')
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .addOption(configOption())
    .addOption(
      new Option('--from <where>', 'earliest, latest, or a time: ISO 8601 or milliseconds')
        .default('earliest')
        .argParser(parseFrom),
    )
    .option('--follow', 'wait for more until interrupted')
    .addOption(
      new Option('--format <format>', 'csv is for spreadsheets: flat fields only, made harmless')
        .choices(['json', 'csv'])
        .default('json'),
    )
    .option('--limit <number>', 'stop after so many', wholeNumber(1))
    .option('--partition <number>', 'only this one', wholeNumber(0))
    .option('--key <key>', 'only records with this key')
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'spar tap outcomes --follow',
        "spar tap preference-pairs | jq '.value.chosen'",
        'spar tap outcomes --format csv > outcomes.csv',
        'spar tap search.nodes --from 2026-01-31T12:00:00Z --limit 10',
      ),
    )
    .action(async (name: string, flags: Flags, command: Command) => {
      const topic = topicOf(name);
      if (flags.json && flags.format === 'csv') {
        throw new UsageError('--json and --format csv exclude each other');
      }
      await withView(flags, command, (view) => tap(view, topic, flags));
    });

async function tap(view: HomeView, topic: TopicInfo, flags: Flags): Promise<void> {
  const columns = flags.format === 'csv' ? flatFields(topic.schema) : null;
  if (columns) await print(csvHeader(columns));
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  if (flags.follow) process.on('SIGINT', onInterrupt);
  try {
    let printed = 0;
    for await (const record of recordsOf(view, topic, flags, interrupt.signal)) {
      if (flags.key !== undefined && record.key !== flags.key) continue;
      const { unreadable } = record;
      const value =
        unreadable === undefined
          ? await decodedOrBytes(view, topic, record.value, record)
          : { unreadable };
      await print(columns ? csvRow(topic, record, value, columns) : jsonRow(topic, record, value));
      if (++printed === flags.limit) break;
    }
  } finally {
    process.off('SIGINT', onInterrupt);
  }
}

/** What is held at once, whatever the length of the topic. */
const page = { records: 200, bytes: 8 * 1024 * 1024 };

/** To the end of the topic as it is now, or on and on until the signal. */
async function* recordsOf(
  { log, pipeline }: HomeView,
  topic: TopicInfo,
  { from, follow, partition: wanted }: Flags,
  signal: AbortSignal,
): AsyncGenerator<LogRecord> {
  const name = nameOnLog(pipeline, topic);
  if (wanted !== undefined && wanted >= log.partitions) {
    throw new UsageError(`there is no partition ${wanted}: every topic has ${log.partitions}`);
  }
  const stopped = () => signal.aborted;
  const appended = watcher(log, name, follow === true, signal);
  try {
    const ends = (await log.ends(name)).filter(
      ({ partition }) => partition === (wanted ?? partition),
    );
    const next = new Map<number, number>();
    for (const { partition, earliest, latest } of ends) {
      const start =
        from === 'earliest'
          ? earliest
          : from === 'latest'
            ? latest
            : await log.offsetAt(name, partition, from);
      next.set(partition, start);
    }
    do {
      for (const { partition, latest } of ends) {
        const end = follow ? Number.POSITIVE_INFINITY : latest;
        for (let at = next.get(partition) ?? 0; at < end && !stopped();) {
          const records = await log.read(name, partition, at, page);
          for (const record of records) {
            if (record.offset >= end || stopped()) return;
            yield record;
          }
          const last = records.at(-1);
          if (!last) break;
          at = last.offset + 1;
          next.set(partition, at);
        }
      }
    } while (follow && (await appended.wait()));
  } finally {
    appended.end();
  }
}

/** Remembers that something was appended until it is asked for, so that nothing falls between two reads. */
function watcher(
  log: Log,
  topic: string,
  follow: boolean,
  signal: AbortSignal,
): { wait(): Promise<boolean>; end(): void } {
  let pending = Promise.withResolvers<undefined>();
  const wake = () => pending.resolve(undefined);
  const failed = Promise.withResolvers<never>();
  // Nobody waits for it while there is something to read.
  failed.promise.catch(() => undefined);
  const unwatch = follow
    ? log.watch(topic, { appended: wake, failed: failed.reject })
    : () => undefined;
  signal.addEventListener('abort', wake);
  return {
    /** False once the signal has come. */
    async wait() {
      await Promise.race([pending.promise, failed.promise]);
      pending = Promise.withResolvers();
      return !signal.aborted;
    },
    end() {
      unwatch();
      signal.removeEventListener('abort', wake);
    },
  };
}

const jsonRow = (topic: TopicInfo, record: LogRecord, value: unknown): string => {
  const { partition, offset, timestamp, key } = record;
  return jsonLine({ topic: topic.name, partition, offset, timestamp, key, value });
};

const ownColumns = ['topic', 'partition', 'offset', 'timestamp', 'key'] as const;

/** A field of the record that has the name of one of ours says so. */
const csvHeader = (columns: readonly string[]): string =>
  csvLine([
    ...ownColumns,
    ...columns.map((name) => (ownColumns.some((own) => own === name) ? `value_${name}` : name)),
  ]);

function csvRow(
  topic: TopicInfo,
  { partition, offset, timestamp, key }: LogRecord,
  value: unknown,
  columns: readonly string[],
): string {
  const fields = value as Readonly<Record<string, unknown>>;
  return csvLine([
    topic.name,
    partition,
    offset,
    timestamp,
    key,
    ...columns.map((name) => fields[name]),
  ]);
}

/** Quoted as RFC 4180 says; the lines end as all our lines do. */
const csvLine = (cells: readonly unknown[]): string => `${cells.map(csvCell).join(',')}\n`;

function csvCell(value: unknown): string {
  const text =
    value === null || value === undefined
      ? ''
      : value instanceof Uint8Array
        ? base64(value)
        : typeof value === 'string'
          ? value
          : // The other flat fields are numbers and booleans.
            JSON.stringify(value);
  const safe = typeof value === 'number' ? text : withoutFormula(manyLines(text));
  return /[",\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/**
 * A spreadsheet takes a text that begins so for a formula, and what a model wrote must not be one. Nor may it move the
 * cursor of whoever reads the end of a pipe; the text as it was is in the JSON.
 */
const withoutFormula = (text: string): string => (/^[=+\-@\t\n]/.test(text) ? `'${text}` : text);

/** The fields that hold one value each: no lists and no records. */
function flatFields(schema: string): readonly string[] {
  // It is one of our own files: a record with fields.
  const { fields } = JSON.parse(schemaText(schema)) as {
    readonly fields: readonly { readonly name: string; readonly type: unknown }[];
  };
  return fields.filter(({ type }) => isFlat(type)).map(({ name }) => name);
}

function isFlat(type: unknown): boolean {
  if (Array.isArray(type)) return type.every(isFlat);
  if (typeof type !== 'object' || type === null) return true;
  return 'logicalType' in type;
}

function topicOf(name: string): TopicInfo {
  const found = Object.values(topics).find((topic) => topic.name === name);
  if (found) return found;
  throw new UsageError(`there is no topic ${oneLine(name, 80)}. The topics are:\n${topicList()}`);
}

const topicList = (): string =>
  Object.values(topics)
    .map(({ name, about }) => `  ${name.padEnd(18)}${about}`)
    .join('\n');

/** A date, and a time if there is one: without a zone it is the time of this machine. */
const isoPattern = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

function parseFrom(value: string): Flags['from'] {
  if (value === 'earliest' || value === 'latest') return value;
  if (/^\d{1,15}$/.test(value)) return Number(value);
  const time = isoPattern.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new InvalidArgumentError(
      'Expected earliest, latest, a time such as 2026-01-31T12:00:00Z, or milliseconds since 1970.',
    );
  }
  return time;
}
