import { PermanentError } from '../../processors/processor.ts';
import { nameOnLog, type Topic, type TopicInfo } from '../../topology/topology.ts';
import type { Log, LogRecord, PartitionEnds } from '../log/log.ts';
import { scan } from '../log/scan.ts';

/** Turns the bytes of a topic into its record, or a promise of it; `schema` is the topic's. */
export type Decode = (schema: string, bytes: Uint8Array) => unknown;

/** Where records come from. */
export interface Topics {
  readonly log: Log;
  readonly decode: Decode;
  readonly pipeline: string;
  /** What there was to read when the export began; what there is now unless given. */
  readonly ends?: Ends;
  /** Told now and then how far the reading of a topic is. */
  readonly progress?: (progress: ExportProgress) => void;
}

/** Where each partition of a topic began and ended, by the topic's short name. */
export type Ends = ReadonlyMap<string, readonly PartitionEnds[]>;

/** How far one step of an export is; `done` never goes back within a step, and its last is `of`. */
export interface ExportProgress {
  readonly step: string;
  readonly done: number;
  readonly of: number;
}

/** One moment for all topics, so that what is written meanwhile is in none of them. */
export async function endsOf(
  { log, pipeline }: Topics,
  topics: readonly TopicInfo[],
): Promise<Ends> {
  const ends = new Map<string, readonly PartitionEnds[]>();
  for (const topic of topics) ends.set(topic.name, await log.ends(nameOnLog(pipeline, topic)));
  return ends;
}

/** A record with the one number that finds it again: partition · 2^40 + offset. */
export interface Placed<Row> {
  readonly row: Row;
  readonly position: number;
}

/** A record with its place in the topic. */
export interface Read<Row> {
  readonly row: Row;
  readonly partition: number;
  readonly offset: number;
}

const offsets = 2 ** 40;

/**
 * Every record that the topic holds, partition by partition. One that cannot be decoded is passed over, and its place
 * told (`topic/partition/offset`).
 */
export async function* records<Row>(
  topics: Topics,
  topic: Topic<Row>,
  undecodable: (place: string) => void,
): AsyncGenerator<Placed<Row>> {
  for await (const one of recordsFrom(topics, topic, () => 0, undecodable)) {
    yield { row: one.row, position: one.partition * offsets + one.offset };
  }
}

/**
 * The same from where each partition is to be read on.
 *
 * @param from the offset to begin at, asked for each partition
 */
export async function* recordsFrom<Row>(
  topics: Topics,
  topic: Topic<Row>,
  from: (partition: number) => number,
  undecodable: (place: string) => void,
): AsyncGenerator<Read<Row>> {
  const name = nameOnLog(topics.pipeline, topic);
  const all = topics.ends?.get(topic.name) ?? (await topics.log.ends(name));
  const ends = all.map((one) => ({
    ...one,
    earliest: Math.max(one.earliest, from(one.partition)),
  }));
  const tell = teller(topics, topic, ends);
  for await (const record of scan(topics.log, name, { ends })) {
    const { partition, offset } = record;
    tell(partition, offset);
    const row = await decoded(topics, topic, record).catch((error: unknown) => {
      if (!(error instanceof PermanentError)) throw error;
      undecodable(`${topic.name}/${partition}/${offset}`);
      return null;
    });
    if (row) yield { row, partition, offset };
  }
  tell(Number.POSITIVE_INFINITY, 0);
}

/** Progress by offsets, so that gaps between them count as passed. */
function teller(
  { progress }: Topics,
  { name }: TopicInfo,
  ends: readonly PartitionEnds[],
): (partition: number, offset: number) => void {
  if (!progress) return () => undefined;
  const step = `reading ${name}`;
  const of = ends.reduce((sum, { earliest, latest }) => sum + latest - earliest, 0);
  let records = 0;
  return (partition, offset) => {
    const isLast = partition === Number.POSITIVE_INFINITY;
    records += 1;
    if (records % toldEvery !== 0 && !isLast) return;
    const done = ends.reduce((sum, one) => {
      if (one.partition > partition) return sum;
      const passed = one.partition === partition ? offset + 1 : one.latest;
      return sum + Math.max(0, passed - one.earliest);
    }, 0);
    progress({ step, done, of });
  };
}

/** Records between two tellings. */
const toldEvery = 500;

/** @throws Error if the record is no longer there. */
export async function recordAt<Row>(
  topics: Topics,
  topic: Topic<Row>,
  position: number,
): Promise<Row> {
  const name = nameOnLog(topics.pipeline, topic);
  const partition = Math.floor(position / offsets);
  const offset = position % offsets;
  const [record] = await topics.log.read(name, partition, offset, { records: 1, bytes: 1 });
  if (record?.offset !== offset) {
    throw new Error(`${name} no longer holds offset ${offset} of partition ${partition}`);
  }
  return decoded(topics, topic, record);
}

// The topic's schema and its record type are declared together, and a test proves that they agree.
const decoded = async <Row>(topics: Topics, topic: Topic<Row>, record: LogRecord): Promise<Row> =>
  (await topics.decode(topic.schema, record.value)) as Row;
