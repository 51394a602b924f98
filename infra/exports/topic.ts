import { PermanentError } from '../../processors/processor.ts';
import { nameOnLog, type Topic } from '../../topology/topology.ts';
import type { Log, LogRecord } from '../log/log.ts';
import { scan } from '../log/scan.ts';

/** Turns the bytes of a topic into its record, or a promise of it; `schema` is the topic's. */
export type Decode = (schema: string, bytes: Uint8Array) => unknown;

/** Where records come from. */
export interface Topics {
  readonly log: Log;
  readonly decode: Decode;
  readonly pipeline: string;
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
const pageLimit = { records: 1000, bytes: 16 * 1024 * 1024 };

/**
 * Every record that the topic holds now, partition by partition. One that cannot be decoded is told of and passed
 * over.
 */
export async function* records<Row>(
  topics: Topics,
  topic: Topic<Row>,
  undecodable: () => void,
): AsyncGenerator<Placed<Row>> {
  for await (const record of scan(topics.log, nameOnLog(topics.pipeline, topic))) {
    const row = await readable(topics, topic, record, undecodable);
    if (row) yield { row, position: record.partition * offsets + record.offset };
  }
}

/**
 * Every record from where its partition is to be read on, up to what is its end now.
 *
 * @param from the offset to begin at, asked for each partition
 */
export async function* recordsFrom<Row>(
  topics: Topics,
  topic: Topic<Row>,
  from: (partition: number) => number,
  undecodable: () => void,
): AsyncGenerator<Read<Row>> {
  const name = nameOnLog(topics.pipeline, topic);
  for (const { partition, earliest, latest } of await topics.log.ends(name)) {
    for (let next = Math.max(earliest, from(partition)); next < latest;) {
      const page = await topics.log.read(name, partition, next, pageLimit);
      const end = page.at(-1);
      if (!end) break;
      for (const record of page) {
        const row = await readable(topics, topic, record, undecodable);
        if (row) yield { row, partition, offset: record.offset };
      }
      next = end.offset + 1;
    }
  }
}

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

/** Null for what cannot be decoded, which is told of. */
async function readable<Row>(
  topics: Topics,
  topic: Topic<Row>,
  record: LogRecord,
  undecodable: () => void,
): Promise<Row | null> {
  try {
    return await decoded(topics, topic, record);
  } catch (error) {
    if (!(error instanceof PermanentError)) throw error;
    undecodable();
    return null;
  }
}

// The topic's schema and its record type are declared together, and a test proves that they agree.
const decoded = async <Row>(topics: Topics, topic: Topic<Row>, record: LogRecord): Promise<Row> =>
  (await topics.decode(topic.schema, record.value)) as Row;
