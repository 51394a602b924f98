import { join } from 'node:path';
import { fullId } from '../../processors/rules/ids.ts';
import { topics as all } from '../../topology/topics.ts';
import { chanceOf } from '../runtime/chance.ts';
import { auditWith, type Audit } from '../../processors/rules/audit.ts';
import { actorRows } from './actor.ts';
import { Candidates } from './candidates.ts';
import { Evidence } from './evidence.ts';
import { Publication, removeExport, type ExportedFile } from './files.ts';
import type { Kind, RowOf, Split } from './format.ts';
import { formatsOf } from './formats.ts';
import { openGates } from './gates/gates.ts';
import { lineageIn } from './lineage.ts';
import { manifestOf, type ExportedIteration } from './manifest.ts';
import { cleaned } from './pairs.ts';
import type { Tally } from './reasons.ts';
import { refinerRows, type Iterations, type JudgedText, type RecordGates } from './refiner.ts';
import { removalsIn } from './removals.ts';
import { choosePairs } from './selection.ts';
import type { ExportSettings } from './settings.ts';
import { stepRows, Unpairing } from './sides.ts';
import { Counting, treesOf } from './statistics.ts';
import { endsOf, recordAt, type Topics } from './topic.ts';

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
  const formats = formatsOf(settings.formats, settings);
  const has = (kind: Kind) =>
    formats.some(({ sets }) => sets[kind]) && (kind === 'lineage' || settings.sets.includes(kind));
  const counts = noRows();
  const statistics = new Counting();

  const publication = new Publication(folder);
  const candidates = new Candidates();
  const evidence = new Evidence();
  const undecodable = (place: string) =>
    candidates.reject({
      kind: 'record',
      id: place,
      instruction: '',
      finding: { reason: 'undecodable', detail: '' },
    });
  const add = async <Name extends Kind>(
    kind: Name,
    { id, instruction }: { readonly id: string; readonly instruction: string },
    from: RowOf[Name],
  ) => {
    counts[kind] += 1;
    for (const { path, sets, leavesOut } of formats) {
      const set = sets[kind];
      if (!set) continue;
      const row = set.row(from);
      if (row) {
        await publication.addRow(path(kind, splitOf(instruction)), row, set.check, set.columns);
      } else if (leavesOut) {
        candidates.reject({ kind, id, instruction, finding: { reason: leavesOut, detail: '' } });
      }
    }
  };

  try {
    const removals = await removalsIn(topics, undecodable);
    const gates = await openGates(settings, removals, evidence, chance);
    await evidence.read(
      topics,
      wanted,
      settings.gates,
      undecodable,
      has('refiner_sft') || has('actor_sft'),
    );
    await choosePairs(
      { topics, iterations: wanted, settings, gates, chance, undecodable },
      candidates,
    );
    const found = candidates.count();
    const lineageOf = has('lineage')
      ? await lineageIn(topics, idsOf(candidates), undecodable)
      : null;
    const unpairing = new Unpairing((place, row) => add('unpaired', place, row));
    let written = 0;
    for (const place of candidates.inOrder()) {
      const pair = await recordAt(topics, all.pairs, place.position);
      const row = cleaned(pair);
      statistics.add(row);
      if (has('preference')) await add('preference', place, row);
      if (has('steps')) {
        for (const step of stepRows(pair)) {
          const finding = gates.text(step.chosen, pair.constraints);
          if (finding) {
            candidates.reject({ kind: 'steps', ...placeOf(step, place), finding });
            continue;
          }
          await add('steps', placeOf(step, place), step);
        }
      }
      if (has('unpaired')) await unpairing.add(place, row);
      if (lineageOf) await add('lineage', place, await lineageOf(pair));
      written += 1;
      if (written % toldEvery === 0 || written === found) {
        request.progress?.({ step: 'writing pairs', done: written, of: found });
      }
    }
    await unpairing.finish();
    let audit: Audit = {};
    const judged = (text: JudgedText) => {
      audit = auditWith(audit, text);
    };
    const gatesFor = (kind: Kind): RecordGates => ({
      undecodable,
      judged,
      good({ id, iteration, instruction_id: instruction }, text) {
        const finding = gates.text(text, evidence.constraints(fullId(iteration, instruction)));
        if (finding) candidates.reject({ kind, id, instruction, finding });
        return finding === null;
      },
      stays({ kind: source, row }) {
        const finding =
          gates.instruction(row) ?? (source === 'refinement' ? removals.ofPair(row.id) : null);
        if (finding)
          candidates.reject({ kind, id: row.id, instruction: row.instruction_id, finding });
        return finding === null;
      },
    });
    if (has('refiner_sft')) {
      const asked = gatesFor('refiner_sft');
      const rows = await refinerRows(topics, iterations, settings.caps, chance, asked);
      for (const row of rows) await add('refiner_sft', row, row.messages);
    }
    if (has('actor_sft')) {
      const asked = gatesFor('actor_sft');
      const rows = actorRows(topics, iterations, settings.actor, chance, asked);
      for await (const row of rows) await add('actor_sft', row, row.messages);
    }
    if (settings.formats.includes('huggingface')) {
      statistics.trees = await treesOf(topics, iterations);
    }
    for (const { path, extras } of formats) {
      const rows = (kind: Kind, split: Split) => publication.rows(path(kind, split));
      for (const [place, text] of Object.entries(extras({ rows, statistics }))) {
        await publication.addText(place, text);
      }
    }
    for (const rejection of candidates.rejections()) {
      await publication.addRow('rejected.jsonl', rejection, () => null);
    }
    const manifest = manifestOf(
      request,
      topics.ends,
      gates,
      counts,
      candidates,
      has('refiner_sft') ? audit : null,
    );
    const files = await publication.publish(manifest);
    if (complete) await removeExport(join(request.folder, partial));
    return { folder, files, counts, rejectedByReason: manifest.rejected };
  } catch (error) {
    await publication.abandon();
    throw error;
  } finally {
    candidates.close();
    evidence.close();
  }
}

const placeOf = (step: { readonly id: string }, pair: { readonly instruction: string }) => ({
  id: step.id,
  instruction: pair.instruction,
});

/** Where an unfinished export goes: a part is never taken for the whole. */
const partial = 'partial';

/** Rows between two tellings. */
const toldEvery = 500;

/** In an order in which whatever a pair is made from is there, if the pair is. */
const topicsRead = ({ gates, formats }: ExportSettings) => [
  all.pairs,
  all.refinements,
  all.nodes,
  all.verdicts,
  ...(gates.truncated === 'off' ? [] : [all.responses]),
  ...(formats.includes('huggingface') ? [all.outcomes] : []),
  all.removals,
];

const idsOf = (candidates: Candidates): ReadonlySet<string> =>
  new Set(Array.from(candidates.inOrder(), ({ id }) => id));

const noRows = (): Record<Kind, number> => ({
  preference: 0,
  steps: 0,
  unpaired: 0,
  refiner_sft: 0,
  actor_sft: 0,
  lineage: 0,
});
