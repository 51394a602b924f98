import type { Message, ProducerBatch, RecordMetadata } from 'kafkajs';
import type { Time } from '../../time.ts';
import type { NewRecord } from '../log.ts';
import { chunks } from './chunks.ts';
import type { KafkaClient } from './client.ts';

/** Below the brokers' own default for a batch, with room for its header; compressed it is smaller. */
const batchBytes = 900 * 1024;
const requestBytes = 16 * 1024 * 1024;

/** Sends all of them, in order and one request after the other; the offset of each. */
export async function sendBatches(
  sender: { sendBatch(batch: ProducerBatch): Promise<RecordMetadata[]> },
  records: readonly NewRecord[],
  { compression }: Pick<KafkaClient, 'compression'>,
  time: Time,
): Promise<readonly number[]> {
  const offsets: number[] = [];
  for (const part of chunks(records, { batchBytes, requestBytes })) {
    const timestamp = String(time.wall());
    const byTopic = Object.groupBy(part, ({ topic }) => topic);
    const sent = await sender.sendBatch({
      acks: -1,
      compression,
      topicMessages: Object.entries(byTopic).map(([topic, theirs = []]) => ({
        topic,
        messages: theirs.map((record) => messageOf(record, timestamp)),
      })),
    });
    const next = new Map(
      sent.map(({ topicName, partition, baseOffset }) => [
        `${topicName}/${partition}`,
        Number(baseOffset),
      ]),
    );
    for (const { topic, partition } of part) {
      const place = `${topic}/${partition}`;
      const offset = next.get(place) ?? -1;
      next.set(place, offset + 1);
      offsets.push(offset);
    }
  }
  return offsets;
}

const messageOf = (record: NewRecord, timestamp: string): Message => ({
  partition: record.partition,
  key: record.key,
  headers: { ...record.headers },
  value: Buffer.from(record.value.buffer, record.value.byteOffset, record.value.byteLength),
  timestamp,
});
