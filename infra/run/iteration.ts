import { createHash } from 'node:crypto';
import type { Settings } from '../../processors/settings.ts';
import { rulesVersion } from '../../processors/rules/version.ts';
import type { Iteration } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { rowIn } from '../codec/rows.ts';
import type { Serde } from '../codec/serde.ts';
import { differences, settingsFrom } from '../config/settings.ts';
import { UsageError } from '../errors.ts';
import type { Log, LogRecord } from '../log/log.ts';
import type { Time } from '../time.ts';

/**
 * Whether the iteration is open, with these very settings.
 *
 * @throws UsageError with every difference if it was opened with others
 */
export async function isOpen(
  log: Log,
  serde: Serde,
  pipeline: string,
  settings: Settings,
): Promise<boolean> {
  const opened = await findIteration(log, serde, pipeline, settings.iteration);
  if (opened) checkSame(opened, settings);
  return opened !== null;
}

/**
 * Fixes the settings of an iteration, unless it is open with the same ones; from then on they cannot change.
 *
 * On a shared log another process may open it at the same moment. All manifests are in one partition, so one of them
 * is the first, and everybody who looks afterwards sees the same one.
 *
 * @throws UsageError with every difference if it was opened with others
 */
export async function openIteration(
  log: Log,
  serde: Serde,
  pipeline: string,
  settings: Settings,
  time: Time,
): Promise<void> {
  const { iteration } = settings;
  if (await isOpen(log, serde, pipeline, settings)) return;
  const own = await publish(log, serde, manifestOf(pipeline, settings, time), opening);
  const [first] = await manifestsOf(log, serde, pipeline, iteration);
  if (!first || first.offset === own) return;
  // A topic that keeps only the latest manifest must not be left with ours.
  const opened = await findIteration(log, serde, pipeline, iteration);
  if (!opened) return;
  await publish(log, serde, opened, opening);
  checkSame(opened, settings);
}

function checkSame(opened: Iteration, settings: Settings): void {
  const changes = differences(settingsIn(opened), settings);
  if (opened.rules !== rulesVersion) {
    changes.push(`rules: version ${opened.rules} when it was opened, ${rulesVersion} now`);
  }
  if (changes.length === 0) return;
  throw new UsageError(
    [
      `iteration ${settings.iteration} was opened with other settings:`,
      ...changes.map((change) => `  ${change}`),
      'Go on with the old ones, or open another iteration (--iteration), in this home or another one (--home).',
    ].join('\n'),
  );
}

function manifestOf(pipeline: string, settings: Settings, time: Time): Iteration {
  const json = JSON.stringify(settings);
  return {
    id: settings.iteration,
    pipeline,
    mode: settings.mode,
    seed: settings.seed,
    settings: json,
    settings_hash: createHash('sha256').update(json).digest('hex'),
    actor_model: settings.models.actor,
    judge_model: settings.models.judge,
    refiner_model: settings.models.refiner,
    judge_prompt: settings.prompts.judge.hash,
    refine_prompt: settings.prompts.refine.hash,
    rules: rulesVersion,
    opened_at: time.wall(),
    unread_sources: [],
  };
}

/**
 * Notes in the manifest that a source is being read, or that it was read to its end (or as far as was asked): until
 * then the iteration is not complete, also after a crash. A source that nothing was taken from needs no note.
 *
 * @returns the sources that are unread now
 */
export async function noteSource(
  log: Log,
  serde: Serde,
  pipeline: string,
  iteration: string,
  source: string,
  state: 'unread' | 'read',
): Promise<readonly string[]> {
  for (let tries = 1; ; tries++) {
    const manifest = await findIteration(log, serde, pipeline, iteration);
    if (!manifest) return [];
    const before = manifest.unread_sources;
    const others = before.filter((name) => name !== source);
    const now = state === 'unread' ? [...others, source] : others;
    // On a shared log somebody else may write its own mark over ours; then ours is written again.
    if (now.length === before.length || tries > notesMax) return now;
    await publish(log, serde, { ...manifest, unread_sources: now });
  }
}

/** More than that many processes do not begin a source at the same moment. */
const notesMax = 20;

/**
 * Marks a manifest whose sources say nothing: whoever opened did not know which were unread, or only put the settings
 * of another one back.
 */
const opening = { opens: 'true' };

/** @returns its offset */
async function publish(
  log: Log,
  serde: Serde,
  manifest: Iteration,
  headers: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const [offset] = await log.append([
    {
      topic: nameOnLog(manifest.pipeline, topics.iterations),
      partition,
      key: manifest.id,
      headers: { iteration: manifest.id, ...headers },
      value: serde.encode(topics.iterations, manifest),
    },
  ]);
  return offset;
}

/** All of them are in one, which gives them an order. */
const partition = 0;

/**
 * The manifest of an iteration; null if it was never opened. The first one says what is fixed, the latest which sources
 * are unread.
 *
 * A Kafka topic that is compacted keeps the latest alone, which has been given the settings of the first by then. Only
 * a process that is killed, or stands still, between its own manifest and the look at the first can leave others
 * there; and only if nobody notes a source before the brokers compact, `segment.ms` (7 days) later.
 */
export async function findIteration(
  log: Log,
  serde: Serde,
  pipeline: string,
  iteration: string,
): Promise<Iteration | null> {
  const manifests = await manifestsOf(log, serde, pipeline, iteration);
  const [first] = manifests;
  const latest = manifests.findLast(({ opens }) => !opens) ?? manifests.at(-1);
  if (!first || !latest) return null;
  return { ...first.manifest, unread_sources: latest.manifest.unread_sources };
}

interface Published {
  readonly offset: number;
  readonly opens: boolean;
  readonly manifest: Iteration;
}

/** The first ones in their order, and the last. */
async function manifestsOf(
  log: Log,
  serde: Serde,
  pipeline: string,
  iteration: string,
): Promise<readonly Published[]> {
  const topic = nameOnLog(pipeline, topics.iterations);
  const last = await log.latest(topic, iteration, partition);
  if (!last) return [];
  const before = await log.ofKey(topic, iteration, { partition });
  const manifests: Published[] = [];
  // Clocks of several machines do not agree on an order; offsets do.
  for (const record of [...before.toSorted(byOffset), last]) {
    const { offset, headers } = record;
    if (offset <= (manifests.at(-1)?.offset ?? -1)) continue;
    const manifest = await rowIn({ serde }, topics.iterations, record);
    if (manifest) manifests.push({ offset, opens: headers['opens'] !== undefined, manifest });
  }
  return manifests;
}

const byOffset = (one: LogRecord, other: LogRecord): number => one.offset - other.offset;

/** The settings were checked before they were written. */
export const settingsIn = (manifest: Iteration): Settings =>
  settingsFrom(JSON.parse(manifest.settings) as Settings);
