import type { Dataflow } from '../../topology/topology.ts';
import { firstSteps, groupOf, nameOnLog, ownOutputs } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import type { Serde } from '../codec/serde.ts';
import { UsageError } from '../errors.ts';
import type { Log } from '../log/log.ts';
import { placeGroup, type Placement } from '../log/place.ts';
import { copiedHeader, iterationOf } from '../runtime/headers.ts';
import type { Time } from '../time.ts';
import { findIteration } from './iteration.ts';

/** What to do where a group stands nowhere although its stage has worked: nothing, or begin at one of the ends. */
export type LostPositions = 'refuse' | 'start' | 'end';

export interface PositionsOptions {
  readonly log: Log;
  readonly serde: Serde;
  readonly pipeline: string;
  readonly dataflow: Dataflow;
  /** Only these stages; null for all. */
  readonly stages: readonly string[] | null;
  /** Which iteration is sampled for; null for none. */
  readonly iteration: string | null;
  readonly lost: LostPositions;
  readonly time: Time;
}

/** A group whose position the log has forgotten. */
interface Lost {
  readonly stage: string;
  readonly group: string;
  readonly topic: string;
  readonly partitions: readonly number[];
}

/** Between two looks: what was just published shows in its topic a moment before the group has moved. */
const lookMs = 500;
const looks = 6;

/**
 * Brokers forget a group that nobody works for, after seven days by default; whoever began again at the start would
 * publish everything twice, and at the end lose what was open.
 *
 * @throws UsageError if the outputs of a stage are there, where it stands is not, and nothing else is asked for
 */
export async function checkPositions(options: PositionsOptions): Promise<void> {
  const { log, lost: wanted, time } = options;
  let lost = await lostOf(options);
  for (let look = 1; lost.length > 0 && look < looks; look++) {
    await time.sleep(lookMs);
    lost = await lostOf(options);
  }
  if (lost.length === 0) return;
  if (wanted === 'refuse') throw new UsageError(refusalOf(lost));
  for (const { group, topic, partitions } of lost) {
    const ends = await log.ends(topic);
    const places = ends
      .filter(({ partition }) => partitions.includes(partition))
      .map(({ partition, earliest, latest }): [number, Placement] => [
        partition,
        { position: wanted === 'start' ? earliest : latest, metadata: '' },
      ]);
    await placeGroup(log, group, topic, new Map(places));
  }
}

async function lostOf(options: PositionsOptions): Promise<readonly Lost[]> {
  const { dataflow, pipeline, stages, iteration } = options;
  const firsts = firstSteps(dataflow);
  const lost: Lost[] = [];
  for (const [stage, { from }] of Object.entries(dataflow)) {
    const isFirst = firsts.has(stage);
    if ((isFirst && iteration === null) || stages?.includes(stage) === false) continue;
    const group = groupOf(pipeline, stage, isFirst ? iteration : null);
    const topic = nameOnLog(pipeline, from);
    const partitions = await lostIn(options, stage, group, topic, isFirst ? iteration : null);
    if (partitions.length > 0) lost.push({ stage, group, topic, partitions });
  }
  return lost;
}

/** The partitions where a stage has published something, and no longer knows how far it is. */
async function lostIn(
  { log, serde, pipeline, dataflow, lost: wanted }: PositionsOptions,
  stage: string,
  group: string,
  topic: string,
  iteration: string | null,
): Promise<readonly number[]> {
  const unknown = new Set(
    (await log.committed(group, topic)).flatMap(({ known, partition }) => (known ? [] : partition)),
  );
  if (unknown.size === 0) return [];
  // A first stage begins anew with every iteration: only what it has published for this one counts.
  const manifest = iteration === null ? null : await findIteration(log, serde, pipeline, iteration);
  if (iteration !== null && manifest === null) return [];
  const found = new Set<number>();
  if (wanted === 'refuse' && (await isHalfCopied(log, topic, manifest?.id ?? null, pipeline))) {
    throw new UsageError(
      `a copy of a home to ${pipeline} is under way, or was interrupted: let it finish, with the same spar copy command ` +
        '(if it did finish, long ago: --lost-positions, see spar worker --help)',
    );
  }
  for (const output of ownOutputs(dataflow, stage)) {
    const name = nameOnLog(pipeline, output);
    for (const { partition, earliest, latest } of await log.ends(name)) {
      if (!unknown.has(partition) || found.has(partition)) continue;
      const from = manifest ? await log.offsetAt(name, partition, manifest.opened_at) : earliest;
      if (await hasRecord(log, name, partition, from, latest, iteration)) found.add(partition);
    }
  }
  // Asked for again: whoever has begun meanwhile is known by now.
  const now = await log.committed(group, topic);
  return now.flatMap(({ known, partition }) => (!known && found.has(partition) ? partition : []));
}

/** The groups are placed last of all: one that is nowhere, over records that were copied, was not placed yet. */
async function isHalfCopied(
  log: Log,
  topic: string,
  iteration: string | null,
  pipeline: string,
): Promise<boolean> {
  // Another iteration may sample what was copied; one that was copied itself has been placed.
  if (iteration !== null) {
    const manifest = await log.latest(nameOnLog(pipeline, topics.iterations), iteration);
    return manifest?.headers[copiedHeader] !== undefined;
  }
  for (const { partition, earliest } of await log.ends(topic)) {
    const [first] = await log.read(topic, partition, earliest, { records: 1, bytes: 1 });
    if (first?.headers[copiedHeader] !== undefined) return true;
  }
  return false;
}

/** Reads, since an offset alone may be that of something which was never published. */
async function hasRecord(
  log: Log,
  topic: string,
  partition: number,
  from: number,
  end: number,
  iteration: string | null,
): Promise<boolean> {
  for (let next = from; next < end;) {
    const records = await log.read(topic, partition, next, page);
    if (records.some((record) => iteration === null || iterationOf(record) === iteration)) {
      return true;
    }
    const last = records.at(-1);
    if (!last) return false;
    next = last.offset + 1;
  }
  return false;
}

const page = { records: 1000, bytes: 8 * 1024 * 1024 };

const refusalOf = (lost: readonly Lost[]): string =>
  [
    'the log has forgotten where these stages stand, but what they have published is there:',
    ...lost.map(
      ({ stage, group, partitions }) =>
        `  ${stage}: group ${group}, partition${partitions.length === 1 ? '' : 's'} ${partitions.join(', ')}`,
    ),
    'Brokers forget a group that nobody works for after offsets.retention.minutes (seven days by default).',
    'If everything had been finished: give --lost-positions end. If not: --lost-positions start reads all of it again.',
    'What has responses is not sampled again, and what has a pair gets no other; everything between is published a second',
    'time under the same ids, and spar status counts it twice. Answers in the journals of this home are not asked for again.',
  ].join('\n');
