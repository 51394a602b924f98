import { PermanentError } from '../../processors/processor.ts';
import { nameOnLog, type Topic } from '../../topology/topology.ts';
import type { Log, LogRecord } from '../log/log.ts';
import type { Serde } from './serde.ts';

/** A topic's records to whoever looks into it: others may have put there what is none, and it is passed over. */
export interface Rows {
  readonly log: Log;
  readonly serde: Serde;
  readonly pipeline: string;
}

/** Null if the bytes are no such record. */
export async function rowIn<Row>(
  { serde }: Pick<Rows, 'serde'>,
  topic: Topic<Row>,
  record: LogRecord,
): Promise<Row | null> {
  try {
    // The topic's schema and its record type are declared together, and a test proves that they agree.
    return (await serde.decode(topic.schema, record.value, record)) as Row;
  } catch (error) {
    if (error instanceof PermanentError) return null;
    throw error;
  }
}

/** The latest row of a key, in any partition unless one is named; null if there is none. */
export async function latestRow<Row>(
  rows: Rows,
  topic: Topic<Row>,
  key: string,
  partition?: number,
): Promise<Row | null> {
  const name = nameOnLog(rows.pipeline, topic);
  const latest = await rows.log.latest(name, key, partition);
  if (latest === null) return null;
  const row = await rowIn(rows, topic, latest);
  if (row !== null) return row;
  const all = await rows.log.ofKey(name, key, partition === undefined ? {} : { partition });
  for (const earlier of all.toReversed()) {
    const found = await rowIn(rows, topic, earlier);
    if (found !== null) return found;
  }
  return null;
}
