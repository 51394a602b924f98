import type { Time } from '../time.ts';
import {
  createEmbeddedLog,
  type LogTopic,
  type PageLimits,
  type Progress,
  type Store,
} from './embedded.ts';
import type { Log, LogRecord, NewRecord } from './log.ts';

/** A log in memory, for tests and simulations: it forgets everything when it goes. */
export function createMemoryLog(options: {
  readonly topics: readonly LogTopic[];
  readonly partitions: number;
  readonly time: Time;
  readonly pages?: PageLimits;
}): Log {
  const { topics, partitions, time } = options;
  const kept = new Map<string, LogRecord[][]>(
    topics.map(({ name }) => [name, Array.from({ length: partitions }, () => [])]),
  );
  const keyed = new Map<string, Map<string, LogRecord[]>>(
    topics.filter((topic) => topic.keyed).map(({ name }) => [name, new Map()]),
  );
  const progress = new Map<string, Progress>();
  let closed = false;

  const recordsOf = (topic: string, partition: number): LogRecord[] => {
    const records = kept.get(topic)?.[partition];
    if (!records) throw new Error(`this log has no partition ${partition} of the topic ${topic}`);
    return records;
  };

  const withKey = (topic: string, key: string, partition: number | null): readonly LogRecord[] => {
    const index = keyed.get(topic);
    if (!index) throw new Error(`${topic} was not opened with keys`);
    const found = index.get(key) ?? [];
    return partition === null ? found : found.filter((record) => record.partition === partition);
  };

  const append = (record: NewRecord): number => {
    const records = recordsOf(record.topic, record.partition);
    const offset = records.length;
    const timestamp = Math.max(time.wall(), records.at(-1)?.timestamp ?? 0);
    const value = new Uint8Array(record.value);
    const written = { ...record, headers: { ...record.headers }, value, offset, timestamp };
    records.push(written);
    const index = keyed.get(record.topic);
    if (index && record.key !== null) {
      const same = index.get(record.key) ?? [];
      index.set(record.key, same);
      same.push(written);
    }
    return offset;
  };

  const store: Store = {
    partitions,
    read(topic, partition, from, limit) {
      const source = recordsOf(topic, partition);
      const records: LogRecord[] = [];
      let bytes = 0;
      for (let offset = from; offset < source.length; offset++) {
        if (records.length >= limit.records || bytes >= limit.bytes) break;
        const record = source[offset];
        if (!record) break;
        records.push(record);
        bytes += record.value.length;
      }
      return { records, next: from + records.length };
    },
    ends: (topic, partition) => ({ earliest: 0, latest: recordsOf(topic, partition).length }),
    committed: (group, topic, partition) => {
      const found = progress.get(`${group}/${topic}/${partition}`);
      const { position = 0, metadata = '' } = found ?? {};
      return { known: found !== undefined, position, metadata };
    },
    offsetAt(topic, partition, timestamp) {
      const records = recordsOf(topic, partition);
      const index = records.findIndex((record) => record.timestamp >= timestamp);
      return index < 0 ? records.length : index;
    },
    latest: (topic, key, partition) => withKey(topic, key, partition).at(-1) ?? null,
    ofKey: (topic, key, partition, limit) => withKey(topic, key, partition).slice(0, limit),
    async write(records, moved) {
      if (closed) throw new Error('the log is closed');
      // Checked before anything is written, since all of them are appended or none.
      for (const record of records) recordsOf(record.topic, record.partition);
      const offsets = records.map(append);
      if (moved) progress.set(`${moved.group}/${moved.topic}/${moved.partition}`, moved);
      // Resolves in a later turn, like a log that waits for a disk.
      await Promise.resolve();
      written(new Set(records.map(({ topic }) => topic)));
      return offsets;
    },
    close: () => (closed = true),
  };
  const { log, written } = createEmbeddedLog(store, time, options.pages);
  return log;
}
