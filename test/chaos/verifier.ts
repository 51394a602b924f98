/**
 * An outside witness of a pipeline: it knows the names of topics and groups, the form of a commit and the
 * simulator's ledger, and uses nothing of ours. What it says, anyone can see who has a plain Kafka client.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs, { type Admin, type Kafka } from 'kafkajs';

const { CompressionCodecs, CompressionTypes, logLevel } = kafkajs;

const [compress, decompress] = [promisify(zstdCompress), promisify(zstdDecompress)];
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: ({ buffer }: { readonly buffer: Buffer }) => compress(buffer),
  decompress: (buffer: Buffer) => decompress(buffer),
});

/** Where a group reads, and what it writes: `<pipeline>.` comes before each name. */
const groupsOf = (pipeline: string, iteration: string) =>
  [
    { group: `${pipeline}.sample.${iteration}`, topic: `${pipeline}.instructions` },
    { group: `${pipeline}.judge`, topic: `${pipeline}.responses` },
    { group: `${pipeline}.fan-out`, topic: `${pipeline}.verdicts` },
    { group: `${pipeline}.expand`, topic: `${pipeline}.search.expand` },
    { group: `${pipeline}.evaluate`, topic: `${pipeline}.search.evaluate` },
    { group: `${pipeline}.pair`, topic: `${pipeline}.refinements` },
  ] as const;

/** Topics that hold each key once. */
const once = [
  'responses',
  'verdicts',
  'negatives',
  'search.nodes',
  'refinements',
  'preference-pairs',
  'outcomes',
] as const;
type Once = (typeof once)[number];

const kafkaAt = (brokers: string): Kafka =>
  new kafkajs.Kafka({
    clientId: 'verifier',
    brokers: [brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 2000,
    retry: { initialRetryTime: 100, maxRetryTime: 1000, retries: 30 },
  });

// --- Offsets -------------------------------------------------------------------------------------------------------

/** What a group has finished of a partition: all below `position`, and single offsets above it. */
export interface Progress {
  readonly position: number;
  readonly above: ReadonlySet<number>;
}

/** Bit 0 of the bitset, which is the commit's metadata in base64, stands for the offset behind the position. */
export function progressOf(offset: string, metadata: string | null): Progress | null {
  if (offset === '-1') return null;
  const position = Number(offset);
  const above = new Set<number>();
  for (const [index, byte] of Buffer.from(metadata ?? '', 'base64').entries()) {
    for (let bit = 0; bit < 8; bit++) {
      if ((byte & (1 << bit)) !== 0) above.add(position + 1 + index * 8 + bit);
    }
  }
  return { position, above };
}

/** Why `after` is less than `before`; null if whatever was done still is. */
export function movedBack(before: Progress, after: Progress | null): string | null {
  if (!after) return `${before.position} is gone`;
  if (after.position < before.position) return `${before.position} to ${after.position}`;
  for (const offset of before.above) {
    if (offset >= after.position && !after.above.has(offset)) {
      return `${offset} was done at ${before.position}, and is not at ${after.position}`;
    }
  }
  return null;
}

export interface OffsetWatch {
  readonly samples: number;
  readonly movedBack: readonly string[];
  stop(): Promise<void>;
}

/** Looks where all groups stand, again and again; what was done once must stay done. */
export function watchOffsets(brokers: string, pipeline: string, iteration = '1'): OffsetWatch {
  const groups = groupsOf(pipeline, iteration);
  const last = new Map<string, Progress>();
  const found: string[] = [];
  const stopping = new AbortController();
  let samples = 0;

  async function look(admin: Admin): Promise<void> {
    await Promise.all(
      groups.map(async ({ group, topic }) => {
        const [of] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
        for (const { partition, offset, metadata } of of?.partitions ?? []) {
          const place = `${group}/${partition}`;
          const before = last.get(place);
          const after = progressOf(offset, metadata);
          const problem = before ? movedBack(before, after) : null;
          if (problem !== null) found.push(`${place}: ${problem}`);
          if (after) last.set(place, after);
          samples++;
        }
      }),
    );
  }

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const admin = kafkaAt(brokers).admin();
      try {
        await admin.connect();
        for (;;) {
          await look(admin);
          await sleep(lookMs, undefined, { signal: stopping.signal });
        }
      } catch {
        // The broker is being killed, or we are told to stop.
        await sleep(lookMs);
      } finally {
        await admin.disconnect().catch(() => undefined);
      }
    }
  }

  const running = run();
  return {
    get samples() {
      return samples;
    },
    get movedBack() {
      return found;
    },
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

const lookMs = 200;

/** Records that no group has finished; at rest there are none, markers of transactions included. */
export async function lagOf(brokers: string, pipeline: string, iteration = '1'): Promise<number> {
  const admin = kafkaAt(brokers).admin();
  await admin.connect();
  try {
    const lags = await Promise.all(
      groupsOf(pipeline, iteration).map(async ({ group, topic }) => {
        const [of] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
        const at = new Map(of?.partitions.map(({ partition, offset }) => [partition, offset]));
        const ends = await admin.fetchTopicOffsets(topic);
        return ends.reduce(
          (sum, { partition, low, high }) =>
            sum + Math.max(0, Number(high) - Math.max(Number(low), Number(at.get(partition) ?? 0))),
          0,
        );
      }),
    );
    return lags.reduce((sum, lag) => sum + lag, 0);
  } finally {
    await admin.disconnect();
  }
}

// --- Records -------------------------------------------------------------------------------------------------------

export interface Seen {
  readonly partition: number;
  readonly offset: string;
  readonly key: string;
  /** Without magic byte and schema id, which belong to a registry and not to the record. */
  readonly value: Buffer;
}

/** Resolves when an outcome of so many instructions can be read. */
export async function untilOutcomes(options: {
  readonly brokers: string;
  readonly pipeline: string;
  readonly instructions: number;
  readonly signal: AbortSignal;
  readonly progress?: (instructions: number) => void;
}): Promise<void> {
  const { brokers, pipeline, instructions, signal } = options;
  const ended = new Set<string>();
  const enough = Promise.withResolvers<undefined>();
  signal.addEventListener('abort', () => enough.reject(signal.reason as Error), { once: true });
  const consumer = kafkaAt(brokers).consumer({
    groupId: `verifier-${randomUUID()}`,
    sessionTimeout: 10_000,
    retry: { retries: 1000, maxRetryTime: 1000 },
  });
  await consumer.connect();
  await consumer.subscribe({ topic: `${pipeline}.outcomes`, fromBeginning: true });
  await consumer.run({
    eachMessage: ({ message }) => {
      const [iteration, instruction] = String(message.key).split('/');
      ended.add(`${iteration}/${instruction}`);
      options.progress?.(ended.size);
      if (ended.size >= instructions) enough.resolve(undefined);
      return Promise.resolve();
    },
  });
  try {
    await enough.promise;
  } finally {
    await consumer.disconnect();
  }
}

/** Every committed record of the topics; a mark that it appends to each partition says where the end is. */
export async function readAll(
  brokers: string,
  topics: readonly string[],
  boundMs = 120_000,
): Promise<ReadonlyMap<string, readonly Seen[]>> {
  const kafka = kafkaAt(brokers);
  const mark = `end-${randomUUID()}`;
  const admin = kafka.admin();
  await admin.connect();
  const { topics: described } = await admin.fetchTopicMetadata({ topics: [...topics] });
  await admin.disconnect();
  const left = new Set<string>();
  const producer = kafka.producer({ allowAutoTopicCreation: false });
  await producer.connect();
  for (const { name, partitions } of described) {
    await producer.send({
      topic: name,
      messages: partitions.map(({ partitionId: partition }) => {
        left.add(`${name}/${partition}`);
        return { partition, key: mark, value: '' };
      }),
    });
  }
  await producer.disconnect();
  const found = new Map<string, Seen[]>(topics.map((topic) => [topic, []]));
  const done = Promise.withResolvers<undefined>();
  const consumer = kafka.consumer({ groupId: mark, readUncommitted: false });
  await consumer.connect();
  for (const topic of topics) await consumer.subscribe({ topic, fromBeginning: true });
  const seen = new Set<string>();
  await consumer.run({
    eachMessage: ({ topic, partition, message: { offset, key, value } }) => {
      const place = `${topic}/${partition}/${offset}`;
      if (seen.has(place)) return Promise.resolve();
      seen.add(place);
      const text = String(key);
      if (text === mark) left.delete(`${topic}/${partition}`);
      else if (!text.startsWith('end-')) {
        const body = value?.subarray(5) ?? Buffer.alloc(0);
        found.get(topic)?.push({ partition, offset, key: text, value: Buffer.from(body) });
      }
      if (left.size === 0) done.resolve(undefined);
      return Promise.resolve();
    },
  });
  const bound = setTimeout(
    () => done.reject(new Error(`an end was not reached: ${[...left].join(', ')}`)),
    boundMs,
  );
  try {
    await done.promise;
  } finally {
    clearTimeout(bound);
    await consumer.disconnect();
  }
  return found;
}

export interface RecordFigures {
  readonly instructions: number;
  readonly trees: number;
  readonly pairs: number;
  readonly deadLetters: number;
  /** Instructions and trees without an outcome. */
  readonly lost: readonly string[];
  /** Keys that a topic holds twice. */
  readonly doubled: readonly string[];
  /** Over the pairs as bytes, in the order of their keys: the same input gives the same, whatever happened. */
  readonly digest: string;
}

export async function verifyRecords(
  brokers: string,
  pipeline: string,
  iteration = '1',
): Promise<RecordFigures> {
  const name = (topic: string) => `${pipeline}.${topic}`;
  const all = await readAll(
    brokers,
    [...once, 'instructions', 'dead-letters'].map((topic) => name(topic)),
  );
  const of = (topic: Once | 'instructions' | 'dead-letters') => all.get(name(topic)) ?? [];
  const keysOf = (topic: Parameters<typeof of>[0]) => of(topic).map(({ key }) => key);
  const doubled = once.flatMap((topic) => {
    const seen = new Set<string>();
    return keysOf(topic).flatMap((key) => {
      if (seen.has(key)) return [`${topic} ${key}`];
      seen.add(key);
      return [];
    });
  });
  const instructions = new Set(keysOf('instructions'));
  const trees = new Set(keysOf('negatives'));
  const outcomes = new Set(keysOf('outcomes'));
  const withTree = new Set([...trees].map((tree) => tree.split('/').slice(0, 2).join('/')));
  const lost = [
    ...[...trees].filter((tree) => !outcomes.has(tree)),
    ...[...instructions]
      .map((id) => `${iteration}/${id}`)
      .filter((id) => !withTree.has(id) && !outcomes.has(id)),
  ];
  const digest = createHash('sha256');
  for (const { key, value } of of('preference-pairs').toSorted((one, other) =>
    one.key < other.key ? -1 : 1,
  )) {
    digest.update(key).update(value);
  }
  return {
    instructions: instructions.size,
    trees: trees.size,
    pairs: of('preference-pairs').length,
    deadLetters: of('dead-letters').length,
    lost,
    doubled,
    digest: digest.digest('hex').slice(0, 16),
  };
}

// --- Calls ---------------------------------------------------------------------------------------------------------

/** One request, as the simulator's ledger has it. */
export interface LedgerCall {
  readonly id: string;
  readonly role: string;
  /** The worker that asked. */
  readonly user: string | null;
  readonly asked_at: number;
  readonly answered_at: number | null;
  readonly ending: string | null;
}

/** When a worker was killed, or stopped and how long: it may have had answers that it could not keep. */
export interface Blow {
  readonly worker: string;
  readonly from: number;
  readonly to: number;
}

export interface CallFigures {
  readonly calls: number;
  /** Requests that the client broke off, or that ended with it. */
  readonly gone: number;
  /** Asked again although the answer had been sent in full: paid twice. */
  readonly repeated: number;
  /** Of these, those whose answer was sent in full to a worker that had a second, and more, to keep it. */
  readonly repeatedForNoReason: number;
  /** Asked while the same was under way elsewhere, and answered too: paid twice. */
  readonly beside: number;
}

/** An answer is journaled, and known to others, well within this time. */
const graceMs = 1000;
/** A server does not notice at once that nobody reads its answer any more. */
const noticeMs = 100;

export function verifyCalls(all: readonly LedgerCall[], blows: readonly Blow[]): CallFigures {
  const calls = all.filter(({ role }) => role !== 'probe');
  const excused = ({ user, answered_at: at }: LedgerCall): boolean =>
    blows.some(
      ({ worker, from, to }) =>
        worker === user && (at ?? 0) >= from - graceMs && (at ?? 0) <= to + noticeMs,
    );
  let [repeated, repeatedForNoReason, beside] = [0, 0, 0];
  for (const same of Object.values(Object.groupBy(calls, ({ id }) => id))) {
    const answered = (same ?? []).filter(({ ending }) => ending === 'answered');
    for (const call of same ?? []) {
      const known = answered.filter(({ answered_at: at }) => (at ?? 0) < call.asked_at);
      if (known.length > 0) {
        repeated++;
        if (!known.every(excused)) repeatedForNoReason++;
      } else if (
        call.ending === 'answered' &&
        answered.some((other) => other !== call && other.asked_at < call.asked_at)
      ) {
        beside++;
      }
    }
  }
  return {
    calls: calls.length,
    gone: calls.filter(({ ending }) => ending === 'gone').length,
    repeated,
    repeatedForNoReason,
    beside,
  };
}

export interface InFlightWatch {
  readonly most: number;
  readonly mean: number;
  stop(): void;
}

/** Looks how many requests are under way, a few times a second. */
export function watchInFlight(url: string): InFlightWatch {
  let [most, sum, looks] = [0, 0, 0];
  const timer = setInterval(() => {
    fetch(`${url}/ledger`)
      .then((response) => response.json() as Promise<{ total: { under_way: number } }>)
      .then(({ total: { under_way } }) => {
        most = Math.max(most, under_way);
        sum += under_way;
        looks++;
      })
      .catch(() => undefined);
  }, 500);
  return {
    get most() {
      return most;
    },
    get mean() {
      return Math.round(sum / Math.max(1, looks));
    },
    stop: () => clearInterval(timer),
  };
}

/** @param url the simulator's, up to /v1 */
export async function readLedger(url: string): Promise<readonly LedgerCall[]> {
  const response = await fetch(`${url}/ledger/calls`);
  const text = await response.text();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LedgerCall);
}
