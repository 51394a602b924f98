import { createHash } from 'node:crypto';
import type { Settings } from '../../processors/settings.ts';
import { rulesVersion } from '../../processors/rules/version.ts';
import type { Iteration } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import type { Serde } from '../codec/serde.ts';
import { differences } from '../config/settings.ts';
import { UsageError } from '../errors.ts';
import type { Log } from '../log/log.ts';
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
  if (!opened) return false;
  const changes = differences(settingsIn(opened), settings);
  if (opened.rules !== rulesVersion) {
    changes.push(`rules: version ${opened.rules} when it was opened, ${rulesVersion} now`);
  }
  if (changes.length === 0) return true;
  throw new UsageError(
    [
      `iteration ${settings.iteration} was opened in this home with other settings:`,
      ...changes.map((change) => `  ${change}`),
      `Go on with the old ones, or open another iteration (--iteration) or home (--home).`,
    ].join('\n'),
  );
}

/** Fixes the settings of a new iteration; from now on they cannot change. */
export async function openIteration(
  log: Log,
  serde: Serde,
  pipeline: string,
  settings: Settings,
  time: Time,
): Promise<void> {
  const json = JSON.stringify(settings);
  const manifest: Iteration = {
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
  await publish(log, serde, manifest);
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

/** The topic keeps the latest manifest of each iteration. */
async function publish(log: Log, serde: Serde, manifest: Iteration): Promise<void> {
  await log.append([
    {
      topic: nameOnLog(manifest.pipeline, topics.iterations),
      partition: 0,
      key: manifest.id,
      headers: { iteration: manifest.id },
      value: serde.encode(topics.iterations, manifest),
    },
  ]);
}

/** The manifest of an iteration; null if it was never opened. */
export async function findIteration(
  log: Log,
  serde: Serde,
  pipeline: string,
  iteration: string,
): Promise<Iteration | null> {
  const record = await log.latest(nameOnLog(pipeline, topics.iterations), iteration);
  if (!record) return null;
  return (await serde.decode(topics.iterations.schema, record.value)) as Iteration;
}

/** The settings were checked before they were written. */
export const settingsIn = (manifest: Iteration): Settings =>
  JSON.parse(manifest.settings) as Settings;
