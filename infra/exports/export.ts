import { join } from 'node:path';
import { topics as all } from '../../topology/topics.ts';
import { chanceOf } from '../runtime/chance.ts';
import { Candidates } from './candidates.ts';
import { Publication, removeExport, type ExportedFile } from './files.ts';
import type { Format, Kind, Split } from './format.ts';
import { asksPassRate, openGates } from './gates/gates.ts';
import { Lineage } from './lineage.ts';
import { llamafactory } from './llamafactory.ts';
import { manifestOf, type ExportedIteration } from './manifest.ts';
import type { Tally } from './reasons.ts';
import { refinerRows, type Iterations } from './refiner.ts';
import { removalsIn } from './removals.ts';
import { choosePairs, cleaned } from './selection.ts';
import type { ExportFormat, ExportSettings } from './settings.ts';
import { endsOf, recordAt, type Topics } from './topic.ts';
import { trl } from './trl.ts';

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

export interface ExportReport {
  /** Where the files are: the folder that was asked for, or its `partial/`. */
  readonly folder: string;
  readonly files: readonly ExportedFile[];
  /** Rows for training, of each kind, train and test together; a format may have had to leave some out. */
  readonly counts: Readonly<Record<Kind, number>>;
  /** Pairs that are in no file, or not in all, and records that cannot be read. */
  readonly rejectedByReason: Tally;
}

/**
 * Writes the training files of some iterations. What is chosen, and its order, depends on the seed and on ids alone:
 * the same content makes the same bytes, whatever the order of the topics, and a second export touches nothing.
 *
 * @throws UsageError if a file that a gate needs cannot be used; Error if a written file cannot be read back as its
 *   loader would. Then nothing is published.
 */
export async function exportAll(request: ExportRequest): Promise<ExportReport> {
  const { settings, complete } = request;
  const folder = complete ? request.folder : join(request.folder, partial);
  const iterations: Iterations = new Map(request.iterations.map((one) => [one.id, one]));
  const wanted = new Set(iterations.keys());
  const topics = { ...request, ends: await endsOf(request, topicsRead(settings)) };
  const chance = chanceOf(request.seed, 'export', '');
  const splitOf = (instruction: string): Split =>
    chance(`split/${instruction}`) < settings.test_share ? 'test' : 'train';
  const formats = settings.formats.map((name) => ({ name, format: formatOf(name, settings) }));
  const counts = { preference: 0, refiner_sft: 0 };

  const publication = new Publication(folder);
  const candidates = new Candidates();
  const lineage = new Lineage();
  const undecodable = (place: string) =>
    candidates.reject({
      kind: 'record',
      id: place,
      instruction: '',
      finding: { reason: 'undecodable', detail: '' },
    });
  const add = async (
    kind: Kind,
    { id, instruction }: { readonly id: string; readonly instruction: string },
    make: (format: Format) => object | null,
  ) => {
    counts[kind] += 1;
    for (const { name, format } of formats) {
      const row = make(format);
      if (row) {
        await publication.addRow(format.path(kind, splitOf(instruction)), row, format.check[kind]);
      } else if (name === 'llamafactory') {
        const finding = { reason: 'llamafactory-turns', detail: '' } as const;
        candidates.reject({ kind, id, instruction, finding });
      }
    }
  };

  try {
    const removals = await removalsIn(topics, undecodable);
    const gates = await openGates(settings, removals, lineage, chance);
    if (settings.gates.truncated !== 'off') await lineage.readCuts(topics, wanted, undecodable);
    if (asksPassRate(settings.gates)) await lineage.readVerdicts(topics, wanted, undecodable);
    await choosePairs(
      { topics, iterations: wanted, settings, gates, chance, undecodable },
      candidates,
    );
    const found = candidates.count();
    for (const place of candidates.inOrder()) {
      const pair = await recordAt(topics, all.pairs, place.position);
      const row = cleaned(pair);
      await add('preference', place, (format) => format.preference(row));
      if (counts.preference % toldEvery === 0 || counts.preference === found) {
        request.progress?.({ step: 'writing pairs', done: counts.preference, of: found });
      }
    }
    const refiner = await refinerRows(topics, iterations, settings.caps, chance, {
      undecodable,
      findingOf: ({ kind, row }) =>
        gates.instruction(row) ?? (kind === 'refinement' ? removals.ofPair(row.id) : null),
      rejected: (id, instruction, finding) =>
        candidates.reject({ kind: 'refiner_sft', id, instruction, finding }),
    });
    for (const row of refiner) {
      await add('refiner_sft', row, (format) => format.conversation(row.messages));
    }
    for (const { format } of formats) {
      const hasRows = (kind: Kind, split: Split) => publication.rows(format.path(kind, split)) > 0;
      for (const [path, text] of Object.entries(format.extras(hasRows))) {
        await publication.addText(path, text);
      }
    }
    for (const rejection of candidates.rejections()) {
      await publication.addRow('rejected.jsonl', rejection, () => null);
    }
    const manifest = manifestOf(request, topics.ends, gates, counts, candidates);
    const files = await publication.publish(manifest);
    if (complete) await removeExport(join(request.folder, partial));
    return { folder, files, counts, rejectedByReason: manifest.rejected };
  } catch (error) {
    await publication.abandon();
    throw error;
  } finally {
    candidates.close();
    lineage.close();
  }
}

/** Where an unfinished export goes: a part is never taken for the whole. */
const partial = 'partial';

/** Rows between two tellings. */
const toldEvery = 500;

/** In an order in which whatever a pair is made from is there, if the pair is. */
const topicsRead = ({ gates }: ExportSettings) => [
  all.pairs,
  all.refinements,
  all.nodes,
  all.verdicts,
  ...(gates.truncated === 'off' ? [] : [all.responses]),
  all.removals,
];

const formatOf = (name: ExportFormat, settings: ExportSettings): Format =>
  name === 'trl' ? trl : llamafactory(settings);
