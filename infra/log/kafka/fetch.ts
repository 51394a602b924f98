export interface FetchedPartition {
  readonly partition: number;
  readonly highWatermark: string;
  readonly lastStableOffset: string;
  readonly abortedTransactions: readonly AbortedTransaction[];
  /** Batches, as they are at the broker; the last one may be cut off. */
  readonly records: Buffer;
}

interface AbortedTransaction {
  readonly producerId: string;
  readonly firstOffset: number;
}

/** In the order of the answer: what comes with which version of it. */
const versions = {
  least: 4,
  sessions: 7,
  logStart: 5,
  throttledByUs: 8,
  readReplica: 11,
  most: 11,
};

interface FetchAnswer {
  /** How long the broker wants us to be silent. */
  readonly clientSideThrottleTime: number;
  readonly responses: readonly {
    readonly topicName: string;
    readonly partitions: readonly (FetchedPartition & { readonly errorCode: number })[];
  }[];
}

/**
 * A broker's answer to a fetch, with the batches of each partition as they came: kafkajs's own decoder unpacks all of
 * them at once, without a bound, and fails for all partitions where it stumbles over one.
 */
export function decodeFetch(bytes: Buffer, version: number): FetchAnswer {
  if (version < versions.least || version > versions.most) {
    throw new Error(`this version does not read answers of version ${version} to a fetch`);
  }
  let at = 0;
  const read = (length: number): number => (at += length) - length;
  const int16 = () => bytes.readInt16BE(read(2));
  const int32 = () => bytes.readInt32BE(read(4));
  const int64 = () => bytes.readBigInt64BE(read(8));
  const text = () => {
    const length = int16();
    return bytes.toString('utf8', read(length), at);
  };
  const list = <One>(one: () => One): One[] =>
    Array.from({ length: Math.max(0, int32()) }, () => one());

  const throttleMs = int32();
  if (version >= versions.sessions) read(2 + 4);
  const responses = list(() => ({
    topicName: text(),
    partitions: list(() => {
      const partition = int32();
      const errorCode = int16();
      const highWatermark = int64().toString();
      const lastStableOffset = int64().toString();
      if (version >= versions.logStart) read(8);
      const abortedTransactions = list(() => ({
        producerId: int64().toString(),
        firstOffset: Number(int64()),
      }));
      if (version >= versions.readReplica) read(4);
      const length = Math.max(0, int32());
      const records = bytes.subarray(read(length), at);
      return {
        ...{ partition, errorCode, highWatermark, lastStableOffset },
        ...{ abortedTransactions, records },
      };
    }),
  }));
  // Older brokers have waited themselves.
  return {
    clientSideThrottleTime: version >= versions.throttledByUs ? throttleMs : 0,
    responses,
  };
}
