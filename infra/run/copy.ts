import { PermanentError } from '../../processors/processor.ts';
import { partsOf } from '../../processors/rules/ids.ts';
import type { DeadLetter } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { partitionOf } from '../../topology/partition.ts';
import { firstSteps, groupOf, nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import type { RecordOrigin } from '../codec/serde.ts';
import { RunError } from '../errors.ts';
import type { Home } from '../home/home.ts';
import type { LogRecord, NewRecord } from '../log/log.ts';
import { placeGroup, type Placement } from '../log/place.ts';
import { backwards, scan } from '../log/scan.ts';
import { copiedHeader, retryHeader } from '../runtime/headers.ts';
import { Window } from '../runtime/window.ts';
import { oneLine } from '../text.ts';

/** One side of a copy: records, and the registry that their schema ids belong to. */
export type CopySide = Pick<Home, 'log' | 'serde' | 'registry' | 'pipeline'>;

export interface CopyOptions {
  /** Nobody may write it meanwhile. */
  readonly from: CopySide;
  /** Its topics are there, and nobody works on them yet. */
  readonly to: CopySide;
  readonly progress: (progress: CopyProgress) => void;
  /** Aborted to stop after what is under way; the same copy goes on later. */
  readonly signal: AbortSignal;
}

export interface CopyProgress {
  readonly topic: string;
  /** Records of it that are there now. */
  readonly records: number;
  readonly of: number;
}

export interface CopyReport {
  /** Records that are there now, by topic. */
  readonly topics: Readonly<Record<string, number>>;
  /** Of these, the ones that an earlier call had copied. */
  readonly before: number;
  /** Groups that stand where they stood. */
  readonly groups: number;
}

/**
 * Whatever a step publishes comes before what it reads: a worker that starts too early finds its own work there and
 * not where it stands, and refuses. The iterations come first of all.
 */
const order = Object.values(topics).toReversed();
const page = { records: 500, bytes: 4 * 1024 * 1024 };

/**
 * Copies a pipeline from one log to another: every record with its schema id rewritten, to the partition that its
 * instruction has there, and at last where each group stands. A record says where it came from, so that an
 * interrupted copy goes on behind the last one.
 *
 * @throws RunError if others have written there, or work on it
 */
export async function copy(options: CopyOptions): Promise<CopyReport> {
  const { from, to, signal } = options;
  await to.serde.prepare(Object.values(topics), { register: false });
  await refuseWorkers(to, await iterationsOf(from));
  const schemaIds = createSchemaIds(from, to);
  const report: Record<string, number> = {};
  let before = 0;
  for (const topic of order) {
    const { there, already } = await copyTopic(topic, schemaIds, options);
    report[topic.name] = there;
    before += already;
  }
  signal.throwIfAborted();
  return { topics: report, before, groups: await placeGroups(options) };
}

async function refuseWorkers(
  { log, pipeline }: CopySide,
  iterations: readonly string[],
): Promise<void> {
  for (const { group } of groupsOf(pipeline, iterations)) {
    const [member] = await log.members(group);
    if (!member) continue;
    throw new RunError(
      `a worker at ${oneLine(member.host, 80)} works on ${pipeline} there: stop it, and copy before anybody begins`,
    );
  }
}

async function copyTopic(
  topic: TopicInfo,
  schemaIds: SchemaIds,
  { from, to, progress, signal }: CopyOptions,
): Promise<{ readonly there: number; readonly already: number }> {
  const [source, target] = [nameOnLog(from.pipeline, topic), nameOnLog(to.pipeline, topic)];
  const ends = await from.log.ends(source);
  const total = ends.reduce((sum, { earliest, latest }) => sum + latest - earliest, 0);
  const last = await lastCopied(from, to, topic);
  let there = 0;
  let already = 0;
  let batches = new Map<number, NewRecord[]>();
  const flush = async () => {
    // Each partition by itself and in order, so that the last record there tells where to go on.
    await Promise.all([...batches.values()].map((records) => to.log.append(records)));
    batches = new Map();
    progress({ topic: topic.name, records: there, of: total });
    signal.throwIfAborted();
  };
  const size = { records: 0, bytes: 0 };
  for await (const record of scan(from.log, source)) {
    there++;
    const partition = await partitionFor(topic, record, from, to.log.partitions);
    if (!isBehind(record, last.get(partition))) {
      already++;
      continue;
    }
    const batch = batches.get(partition) ?? [];
    batches.set(partition, batch);
    batch.push({
      topic: target,
      partition,
      ...(await translated(topic, record, partition, schemaIds, from, to)),
    });
    size.records++;
    size.bytes += record.value.length;
    if (size.records < page.records && size.bytes < page.bytes) continue;
    await flush();
    size.records = 0;
    size.bytes = 0;
  }
  await flush();
  return { there, already };
}

/** The last record of each partition that came from the home; nobody else may have written there. */
async function lastCopied(
  from: CopySide,
  to: CopySide,
  topic: TopicInfo,
): Promise<ReadonlyMap<number, Origin>> {
  const name = nameOnLog(to.pipeline, topic);
  const last = new Map<number, Origin>();
  for (const ends of await to.log.ends(name)) {
    const { value: record } = await backwards(to.log, name, ends).next();
    if (!record) continue;
    const origin = originOf(record);
    if (!origin || !(await isCopyOf(record, origin, from, topic))) {
      throw new RunError(
        `${name} has records in partition ${ends.partition} that are not from this home, the last at offset ` +
          `${record.offset}. If the home was copied before, workers have gone on there, and there is nothing left to ` +
          'copy; if not, take another pipeline.',
      );
    }
    last.set(ends.partition, origin);
  }
  return last;
}

/** Where a record was in the home. */
interface Origin {
  readonly partition: number;
  readonly offset: number;
}

function originOf({ headers }: Pick<LogRecord, 'headers'>): Origin | null {
  const [, partition, offset] = /^(\d+)\/(\d+)$/.exec(headers[copiedHeader] ?? '') ?? [];
  return partition === undefined || offset === undefined
    ? null
    : { partition: Number(partition), offset: Number(offset) };
}

const isBehind = ({ partition, offset }: Origin, last: Origin | undefined): boolean =>
  last === undefined ||
  partition > last.partition ||
  (partition === last.partition && offset > last.offset);

async function isCopyOf(
  record: LogRecord,
  { partition, offset }: Origin,
  from: CopySide,
  topic: TopicInfo,
): Promise<boolean> {
  if (partition >= from.log.partitions) return false;
  const name = nameOnLog(from.pipeline, topic);
  const [found] = await from.log.read(name, partition, offset, { records: 1, bytes: 1 });
  const key = topic === topics.deadLetters ? copiedId(found?.key ?? '') : (found?.key ?? null);
  // A record that the home has deleted since cannot be compared.
  return found?.offset !== offset || key === record.key;
}

/** Everything about one instruction is in one partition, which its id decides. */
async function partitionFor(
  topic: TopicInfo,
  record: LogRecord,
  from: CopySide,
  partitions: number,
): Promise<number> {
  if (topic === topics.iterations) return record.partition;
  const instruction = await instructionOf(topic, record, from);
  return instruction === null
    ? record.partition % partitions
    : partitionOf(instruction, partitions);
}

async function instructionOf(
  topic: TopicInfo,
  record: RecordOrigin & Pick<LogRecord, 'value'>,
  from: CopySide,
): Promise<string | null> {
  const { key, value } = record;
  if (topic === topics.deadLetters) {
    const letter = (await from.serde.decode(topic.schema, value)) as DeadLetter;
    const origin = topicOf(letter);
    if (!origin) return null;
    const { offset, key: theirs, value: bytes } = letter;
    const died = { topic: nameOnLog(from.pipeline, origin), offset, key: theirs, timestamp: 0 };
    return instructionOf(origin, { ...died, value: bytes }, from);
  }
  if (topic.foreign !== true) return partsOf(key ?? '')[1] ?? null;
  try {
    const decoded = await from.serde.decode(topic.schema, value, record);
    const { id } = decoded as { readonly id?: unknown };
    return typeof id === 'string' ? id : key;
  } catch (error) {
    if (error instanceof PermanentError) return key;
    throw error;
  }
}

async function translated(
  topic: TopicInfo,
  record: LogRecord,
  partition: number,
  schemaIds: SchemaIds,
  from: CopySide,
  to: CopySide,
): Promise<Pick<NewRecord, 'key' | 'headers' | 'value'>> {
  const retried = record.headers[retryHeader];
  const headers = {
    ...record.headers,
    ...(retried !== undefined && { [retryHeader]: copiedId(retried) }),
    [copiedHeader]: `${record.partition}/${record.offset}`,
  };
  if (topic !== topics.deadLetters) {
    return { key: record.key, headers, value: await schemaIds.rewrite(topic, record.value) };
  }
  const letter = (await from.serde.decode(topic.schema, record.value)) as DeadLetter;
  const origin = topicOf(letter);
  const moved: DeadLetter = {
    ...letter,
    id: copiedId(letter.id),
    partition,
    value: Buffer.from(origin ? await schemaIds.rewrite(origin, letter.value) : letter.value),
  };
  return { key: moved.id, headers, value: to.serde.encode(topic, moved) };
}

/** Where its record came from; null if it is no topic of this version. */
const topicOf = ({ topic }: DeadLetter): TopicInfo | null =>
  Object.values(topics).find(({ name }) => name === topic) ?? null;

/** Its offset is one of the home: on the log where it is now another record has it. */
const copiedId = (id: string): string => `copied/${id}`;

interface SchemaIds {
  /** The same record as the registry of the other side knows its schema; bytes that no schema wrote as they are. */
  rewrite(topic: TopicInfo, value: Uint8Array): Promise<Uint8Array>;
}

const headerBytes = 5;

/** An id means nothing to another registry, so that each text is looked up there once, or registered. */
function createSchemaIds(from: CopySide, to: CopySide): SchemaIds {
  const targets = new Map<number, Promise<number | null>>();

  /** The subject of this side that an id belongs to, the topic's own first, with its text. */
  async function schemaOf(topic: TopicInfo, id: number): Promise<[TopicInfo, string] | null> {
    for (const candidate of [topic, ...Object.values(topics)]) {
      const subject = subjectOf(from, candidate);
      const latest = await from.registry.latest(subject);
      for (let version = latest?.version ?? 0; version > 0; version--) {
        const found = await from.registry.byVersion(subject, version);
        if (found?.id === id) return [candidate, found.schema];
      }
    }
    return null;
  }

  async function targetOf(topic: TopicInfo, id: number): Promise<number | null> {
    const found = await schemaOf(topic, id);
    return found && to.registry.register(subjectOf(to, found[0]), found[1]);
  }

  return {
    async rewrite(topic, value) {
      if (value.length < headerBytes || value[0] !== 0) return value;
      const copied = new Uint8Array(value);
      const view = new DataView(copied.buffer);
      const id = view.getUint32(1);
      const target = targets.get(id) ?? targetOf(topic, id);
      targets.set(id, target);
      view.setUint32(1, (await target) ?? id);
      return copied;
    },
  };
}

const subjectOf = ({ pipeline }: CopySide, topic: TopicInfo): string =>
  `${nameOnLog(pipeline, topic)}-value`;

interface Group {
  readonly group: string;
  readonly topic: TopicInfo;
}

/** Every group that reads, of each iteration. */
function groupsOf(pipeline: string, iterations: readonly string[]): readonly Group[] {
  const firsts = firstSteps(dataflow);
  return Object.entries(dataflow).flatMap(([name, { from }]) =>
    firsts.has(name)
      ? iterations.map((id) => ({ group: groupOf(pipeline, name, id), topic: from }))
      : [{ group: groupOf(pipeline, name, null), topic: from }],
  );
}

/** Has each group stand where it stood, in the offsets of the other log. */
async function placeGroups({ from, to, signal }: CopyOptions): Promise<number> {
  const groups = groupsOf(to.pipeline, await iterationsOf(to));
  for (const topic of new Set(groups.map((one) => one.topic))) {
    const theirs = groups.filter((one) => one.topic === topic).map(({ group }) => group);
    const placements = await placementsOf(topic, theirs, from, to);
    for (const [group, places] of placements) {
      signal.throwIfAborted();
      await place(to, group, nameOnLog(to.pipeline, topic), places);
    }
  }
  return groups.length;
}

async function iterationsOf({ log, pipeline }: CopySide): Promise<readonly string[]> {
  const ids = new Set<string>();
  for await (const { key } of scan(log, nameOnLog(pipeline, topics.iterations))) {
    if (key !== null) ids.add(key);
  }
  return [...ids];
}

type Placements = ReadonlyMap<string, ReadonlyMap<number, Placement>>;

/** Where groups that read the same topic are to stand: the copies tell which of them are done. */
async function placementsOf(
  topic: TopicInfo,
  groups: readonly string[],
  from: CopySide,
  to: CopySide,
): Promise<Placements> {
  const [source, target] = [nameOnLog(from.pipeline, topic), nameOnLog(to.pipeline, topic)];
  const ends = await to.log.ends(target);
  const all = await Promise.all(
    groups.map(async (group) => ({
      group,
      done: (await from.log.committed(group, source)).map(
        ({ position, metadata }) => new Window(position, metadata),
      ),
      windows: ends.map(({ earliest }) => new Window(earliest, '')),
    })),
  );
  for await (const record of scan(to.log, target)) {
    const origin = originOf(record);
    for (const { done, windows } of all) {
      const window = windows[record.partition];
      window?.deliver([record.offset], record.offset + 1);
      if (origin && done[origin.partition]?.isDone(origin.offset)) window?.finish(record.offset);
    }
  }
  return new Map(
    all.map(({ group, windows }) => [
      group,
      new Map(
        windows.map(({ low, metadata }, partition) => [partition, { position: low, metadata }]),
      ),
    ]),
  );
}

async function place(
  { log }: CopySide,
  group: string,
  topic: string,
  places: ReadonlyMap<number, Placement>,
): Promise<void> {
  const missing = new Map(places);
  for (const { partition, known, position, metadata } of await log.committed(group, topic)) {
    if (!known) continue;
    const wanted = places.get(partition);
    if (wanted?.position !== position || wanted.metadata !== metadata) {
      throw new RunError(
        `${group} has been at work there, in partition ${partition} of ${topic}: nothing of that was changed`,
      );
    }
    missing.delete(partition);
  }
  await placeGroup(log, group, topic, missing);
}
