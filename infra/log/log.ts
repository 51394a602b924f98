/**
 * The log as a port: partitioned topics of records that stay in order, consumer groups that remember how far
 * they are, and transactions over outputs and progress. Adapters: SQLite (embedded), memory (tests), Kafka.
 * Every adapter passes `test/contract/log.ts`.
 */
export interface Log {
  /** The same for every topic of a pipeline, and fixed for ever. */
  readonly partitions: number;

  /**
   * Appends all of them or none; resolves when they are durable, with the offset of each. A log far away may show
   * them to readers a moment later; `latest` and `ofKey` wait for that moment.
   */
  append(records: readonly NewRecord[]): Promise<readonly number[]>;

  /** Joins `group` on `topic`; records are pushed to the subscriber until the subscription is closed. */
  subscribe(group: string, topic: string, subscriber: Subscriber): Promise<Subscription>;

  /** At most `limit` records from offset `from` on (gaps are skipped); empty at the end of the partition. */
  read(
    topic: string,
    partition: number,
    from: number,
    limit: ReadLimit,
  ): Promise<readonly LogRecord[]>;

  /** First offset that is still kept and the next one to be written, per partition; readers may get there later. */
  ends(topic: string): Promise<readonly PartitionEnds[]>;

  /** Where a group stands, per partition; position 0 and empty metadata if that is not known. */
  committed(group: string, topic: string): Promise<readonly Committed[]>;

  /** Who works for a group, as the log knows it; nobody, where only the process itself knows. */
  members(group: string): Promise<readonly GroupMember[]>;

  /** The first offset whose record was appended at `timestamp` (ms) or later; the end if there is none. */
  offsetAt(topic: string, partition: number, timestamp: number): Promise<number>;

  /**
   * The latest record of a key, in any partition unless one is named; only for topics opened with `keyed`. It sees
   * all that was there when it was asked.
   */
  latest(topic: string, key: string, partition?: number): Promise<LogRecord | null>;

  /** Every record of a key, oldest first; only for topics opened with `keyed`. */
  ofKey(topic: string, key: string, options?: OfKeyOptions): Promise<readonly LogRecord[]>;

  /** Tells of what is appended to the topic from now on, until it fails; returns the way out. */
  watch(topic: string, watcher: Watcher): () => void;

  /**
   * What the log's groups wait for, as nobody who works for them is told: they try on until it is back. Null if all is
   * well, as it always is in a log of this process.
   */
  away(): Away | null;

  close(): Promise<void>;
}

export interface Away {
  /** By `Time.monotonic`. */
  readonly sinceMs: number;
  readonly error: string;
}

export interface Watcher {
  /** Something was appended: called soon, not for each record, and perhaps once at the beginning for nothing. */
  appended(): void;
  /** Nothing more will be told. A log that is away for a while is no failure. */
  failed(error: Error): void;
}

export interface OfKeyOptions {
  /** So many at most; 100 unless given. */
  readonly limit?: number;
  /** Only those in it. */
  readonly partition?: number;
}

export interface NewRecord {
  readonly topic: string;
  readonly partition: number;
  readonly key: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly value: Uint8Array;
}

export interface LogRecord extends NewRecord {
  readonly offset: number;
  /** When it was appended, milliseconds since 1970. */
  readonly timestamp: number;
  /**
   * Why nobody can read what a producer of others wrote at this offset, or up to it, in a sentence that says where; key,
   * headers and value are missing then. Not there for all that can be read.
   */
  readonly unreadable?: string;
}

export interface ReadLimit {
  readonly records: number;
  /** Stops after the record that reaches it; a single larger record is still returned. */
  readonly bytes: number;
}

export interface PartitionEnds {
  readonly partition: number;
  readonly earliest: number;
  readonly latest: number;
}

export interface Committed {
  readonly partition: number;
  /** False if the group never committed there, or a log that forgets groups has forgotten it. */
  readonly known: boolean;
  readonly position: number;
  readonly metadata: string;
}

export interface GroupMember {
  /** As the log calls it. */
  readonly id: string;
  /** Where it is. */
  readonly host: string;
  readonly partitions: readonly number[];
}

/**
 * What a member of a group is told, per partition: `assigned`, then `records` any number of times, then
 * `revoked`. Calls for one partition never overlap; `records` must only enqueue and return.
 */
export interface Subscriber {
  /** Reading starts at the committed position, paused until `resume` is called. */
  assigned(partition: number, committed: Committed): void;
  /**
   * Records in order of offset; every offset below `next` that was not delivered is a gap and counts as done.
   */
  records(partition: number, records: readonly LogRecord[], next: number): void;
  /** Resolves when finished work has been committed; the partition belongs to someone else afterwards. */
  revoked(partition: number): Promise<void>;
  /** The subscription cannot go on; nothing more will be delivered. */
  failed(error: Error): void;
}

export interface Subscription {
  /** After it returns at most what was already under way is delivered. */
  pause(partition: number): void;
  resume(partition: number): void;
  /**
   * Publishes the outputs and moves the group's position, both or neither; resolves when durable, and readers see it
   * soon. Outputs may include records for the input topic itself.
   *
   * @throws PartitionLost if the partition was given to another member: nothing was published, and it is that
   *   member's work now. TooLarge if some of the outputs are larger than their topics take: nothing was published,
   *   and all others may be committed without them. Any other error means that the subscription cannot go on.
   */
  commit(partition: number, transaction: Transaction): Promise<void>;
  /** Stops delivery, lets `revoked` finish for every partition, and leaves the group. */
  close(): Promise<void>;
}

export interface Transaction {
  readonly outputs: readonly NewRecord[];
  /** Everything below is done. */
  readonly position: number;
  /** What is done above the position, at most 4,096 bytes. */
  readonly metadata: string;
}

/** Records are larger than their topics take, whatever the declared bounds say: a topic may have been made smaller. */
export class TooLarge extends Error {
  override readonly name = 'TooLarge';
  /** The very ones that were handed in. */
  readonly records: readonly NewRecord[];

  constructor(message: string, records: readonly NewRecord[], options?: ErrorOptions) {
    super(message, options);
    this.records = records;
  }
}

/** The partition belongs to another member of the group, and so does all of it that was not committed. */
export class PartitionLost extends Error {
  override readonly name = 'PartitionLost';
}
