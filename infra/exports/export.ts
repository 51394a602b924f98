import { join } from 'node:path';
import type { Settings } from '../../processors/settings.ts';
import { topics as all } from '../../topology/topics.ts';
import type { Chance } from '../../processors/rules/chance.ts';
import { chanceOf } from '../runtime/chance.ts';
import { actorRows } from './actor.ts';
import { Publication, removeExport, type ExportedFile } from './files.ts';
import type { FormatReason, Kind, RowOf, Split } from './format.ts';
import { formatsOf } from './formats.ts';
import { lineageIn } from './lineage.ts';
import { cleaned, whyNot } from './pairs.ts';
import { refinerRows, type Iterations } from './refiner.ts';
import type { ExportSettings } from './settings.ts';
import { byKey } from './smallest.ts';
import { Counting, treesOf } from './statistics.ts';
import { stepRows, Unpairing } from './sides.ts';
import { recordAt, records, type Topics } from './topic.ts';

export interface ExportRequest extends Topics {
  /** Whose records to export, each with what its manifest says. */
  readonly iterations: readonly ExportedIteration[];
  /** The seed of every choice and order of the export: by default that of the iteration. */
  readonly seed: number;
  /** Whether all that the iterations will ever hold is there; if not, the files go to `partial/`. */
  readonly complete: boolean;
  readonly folder: string;
  readonly settings: ExportSettings;
}

export interface ExportedIteration {
  readonly id: string;
  readonly seed: number;
  readonly prompts: Settings['prompts'];
}

export interface ExportReport {
  /** Where the files are: the folder that was asked for, or its `partial/`. */
  readonly folder: string;
  readonly files: readonly ExportedFile[];
  /** Rows for training, of each kind, train and test together; a format may have had to leave some out. */
  readonly counts: Readonly<Record<Kind, number>>;
  readonly rejectedByReason: Readonly<Record<RejectedReason, number>>;
}

/**
 * Why a row is in no file: its sides are the same text or one holds nothing, its bytes are not a record, the cap was
 * reached; or why it is not in the files of one format: LLaMA-Factory could not read its turns, axolotl would cut its
 * text in the wrong place.
 */
export type RejectedReason =
  'equal-sides' | 'empty-side' | 'undecodable' | 'over-cap' | FormatReason;

/**
 * Writes the training files of some iterations. What is chosen, and its order, depends on the seed and on ids alone:
 * the same content makes the same bytes, whatever the order of the topics, and a second export touches nothing.
 *
 * @throws Error if a written file cannot be read back as its loader would; then nothing is published.
 */
export async function exportAll(request: ExportRequest): Promise<ExportReport> {
  const { settings, complete } = request;
  const folder = complete ? request.folder : join(request.folder, partial);
  const iterations: Iterations = new Map(request.iterations.map((one) => [one.id, one]));
  const chance = chanceOf(request.seed, 'export', '');
  const rejected = noneRejected();
  const undecodable = () => (rejected.undecodable += 1);
  const splitOf = (instruction: string): Split =>
    chance(`split/${instruction}`) < settings.test_share ? 'test' : 'train';
  const formats = formatsOf(settings.formats, settings);
  const has = (kind: Kind) =>
    formats.some(({ sets }) => sets[kind]) && (kind === 'lineage' || settings.sets.includes(kind));
  const counts = noRows();
  const statistics = new Counting();

  const publication = new Publication(folder);
  const add = async <Name extends Kind>(kind: Name, instruction: string, from: RowOf[Name]) => {
    counts[kind] += 1;
    for (const { path, sets, leavesOut } of formats) {
      const set = sets[kind];
      if (!set) continue;
      const row = set.row(from);
      if (row) {
        await publication.addRow(path(kind, splitOf(instruction)), row, set.check, set.columns);
      } else if (leavesOut) {
        rejected[leavesOut] += 1;
      }
    }
  };

  try {
    const places = await choosePairs(request, iterations, chance, rejected);
    const lineageOf = has('lineage')
      ? await lineageIn(request, new Set(places.map(({ id }) => id)), undecodable)
      : null;
    const unpairing = new Unpairing((instruction, row) => add('unpaired', instruction, row));
    for (const { position } of places) {
      const pair = await recordAt(request, all.pairs, position);
      const row = cleaned(pair);
      const { instruction_id: instruction } = pair;
      statistics.add(row);
      if (has('preference')) await add('preference', instruction, row);
      if (has('steps')) for (const step of stepRows(pair)) await add('steps', instruction, step);
      if (has('unpaired')) await unpairing.add(instruction, row);
      if (lineageOf) await add('lineage', instruction, await lineageOf(pair));
    }
    await unpairing.finish();
    if (has('refiner_sft')) {
      const rows = await refinerRows(request, iterations, settings.caps, chance, undecodable);
      for (const { instruction, messages } of rows) await add('refiner_sft', instruction, messages);
    }
    if (has('actor_sft')) {
      const rows = actorRows(request, iterations, settings.actor, chance, undecodable);
      for await (const { instruction, messages } of rows) {
        await add('actor_sft', instruction, messages);
      }
    }
    if (settings.formats.includes('huggingface')) {
      statistics.trees = await treesOf(request, iterations);
    }
    for (const { path, extras } of formats) {
      const rows = (kind: Kind, split: Split) => publication.rows(path(kind, split));
      for (const [place, text] of Object.entries(extras({ rows, statistics }))) {
        await publication.addText(place, text);
      }
    }
    const files = await publication.publish({
      pipeline: request.pipeline,
      iterations: request.iterations.map(({ id, seed, prompts }) => ({
        id,
        seed,
        judge_prompt: prompts.judge.hash,
        refine_prompt: prompts.refine.hash,
      })),
      complete,
      seed: request.seed,
      settings,
      counts,
      rejected,
    });
    if (complete) await removeExport(join(request.folder, partial));
    return { folder, files, counts, rejectedByReason: rejected };
  } catch (error) {
    await publication.abandon();
    throw error;
  }
}

/** Where an unfinished export goes: a part is never taken for the whole. */
const partial = 'partial';

const noneRejected = (): Record<RejectedReason, number> => ({
  'equal-sides': 0,
  'empty-side': 0,
  undecodable: 0,
  'over-cap': 0,
  'llamafactory-turns': 0,
  'axolotl-text': 0,
});

const noRows = (): Record<Kind, number> => ({
  preference: 0,
  steps: 0,
  unpaired: 0,
  refiner_sft: 0,
  actor_sft: 0,
  lineage: 0,
});

/** The pairs to export, in their order: of each only its place is kept. */
async function choosePairs(
  { settings, ...topics }: ExportRequest,
  iterations: Iterations,
  chance: Chance,
  rejected: Record<RejectedReason, number>,
): Promise<readonly Place[]> {
  // Null for a pair that is left out, so that a repeat of it is not counted again.
  const found = new Map<string, Place | null>();
  const undecodable = () => (rejected.undecodable += 1);
  for await (const { row, position } of records(topics, all.pairs, undecodable)) {
    if (!iterations.has(row.iteration) || found.has(row.id)) continue;
    const reason = whyNot(cleaned(row));
    if (reason) rejected[reason] += 1;
    const place = { id: row.id, key: chance(`pair/${row.id}`), position };
    found.set(row.id, reason ? null : place);
  }
  const fit = [...found.values()].filter((place) => place !== null).sort(byKey);
  const places = fit.slice(0, settings.max_pairs ?? fit.length);
  rejected['over-cap'] += fit.length - places.length;
  return places;
}

interface Place {
  readonly id: string;
  readonly key: number;
  readonly position: number;
}
