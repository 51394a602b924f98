import type { Message, ProducerBatch, RecordMetadata } from 'kafkajs';
import type { Time } from '../../time.ts';
import type { NewRecord } from '../log.ts';
import { chunks } from './chunks.ts';
import type { KafkaClient } from './client.ts';

/** Below the brokers' own default for a batch, with room for its header; compressed it is smaller. */
const batchBytes = 900 * 1024;
const requestBytes = 16 * 1024 * 1024;

/** When a record is appended, by the place where it goes. */
export type Stamps = (place: string) => number;

/** A clock that is set back does not set a partition back: whoever looks for a time finds it by halving. */
export function createStamps(time: Time): Stamps {
  const last = new Map<string, number>();
  return (place) => {
    const stamp = Math.max(time.wall(), last.get(place) ?? 0);
    last.set(place, stamp);
    return stamp;
  };
}

/** Sends all of them, in order and one request after the other; the offset of each. */
export async function sendBatches(
  sender: { sendBatch(batch: ProducerBatch): Promise<RecordMetadata[]> },
  records: readonly NewRecord[],
  { compression }: Pick<KafkaClient, 'compression'>,
  stamps: Stamps,
): Promise<readonly number[]> {
  const offsets: number[] = [];
  for (const part of chunks(records, { batchBytes, requestBytes })) {
    const byTopic = Object.groupBy(part, ({ topic }) => topic);
    const sent = await sender.sendBatch({
      acks: -1,
      compression,
      topicMessages: Object.entries(byTopic).map(([topic, theirs = []]) => ({
        topic,
        messages: theirs.map((record) => messageOf(record, stamps(placeOf(record)))),
      })),
    });
    const next = new Map(
      sent.map(({ topicName, partition, baseOffset }) => [
        `${topicName}/${partition}`,
        Number(baseOffset),
      ]),
    );
    for (const record of part) {
      const place = placeOf(record);
      const offset = next.get(place) ?? -1;
      next.set(place, offset + 1);
      offsets.push(offset);
    }
  }
  return offsets;
}

const placeOf = ({ topic, partition }: NewRecord): string => `${topic}/${partition}`;

const messageOf = (record: NewRecord, timestamp: number): Message => ({
  partition: record.partition,
  key: record.key,
  headers: { ...record.headers },
  value: Buffer.from(record.value.buffer, record.value.byteOffset, record.value.byteLength),
  timestamp: String(timestamp),
});
