import { setImmediate } from 'node:timers/promises';
import type { Chance } from '../../processors/rules/chance.ts';
import { topics as all } from '../../topology/topics.ts';
import type { Candidates, Fit } from './candidates.ts';
import { Duplicates, keptOf } from './gates/duplicates.ts';
import { editDistance } from './gates/edit-distance.ts';
import type { Candidate, Finding } from './gates/gate.ts';
import type { Gates } from './gates/gates.ts';
import { cleaned } from './pairs.ts';
import type { ExportSettings, GateSettings } from './settings.ts';
import { records, type Topics } from './topic.ts';

export interface SelectionRequest {
  readonly topics: Topics;
  /** Whose pairs are wanted. */
  readonly iterations: ReadonlySet<string>;
  readonly settings: ExportSettings;
  readonly gates: Gates;
  readonly chance: Chance;
  readonly undecodable: (place: string) => void;
}

/**
 * Chooses the pairs to export: each is judged by itself as it is read, then those that are left are compared and
 * counted in the order that chance gave them. So neither depends on the order of the topic.
 */
export async function choosePairs(
  request: SelectionRequest,
  candidates: Candidates,
): Promise<void> {
  await judgeEach(request, candidates);
  candidates.sort();
  await compare(request, candidates);
}

async function judgeEach(
  { topics, iterations, settings, gates, chance, undecodable }: SelectionRequest,
  candidates: Candidates,
): Promise<void> {
  for await (const { row: pair, position } of records(topics, all.pairs, undecodable)) {
    if (!iterations.has(pair.iteration)) continue;
    const candidate = { pair, row: cleaned(pair) };
    const unfit = gates.pair(candidate);
    const distance = unfit ? null : distanceOf(candidate);
    candidates.add(
      {
        id: pair.id,
        draw: chance(`pair/${pair.id}`),
        position,
        instruction: pair.instruction_id,
        source: pair.source,
        prompt: unfit ? '' : keptOf(settings.gates.duplicates, pair.messages),
      },
      distance,
      unfit ?? outOfBand(distance ?? 0, settings.gates.distance),
    );
  }
}

async function compare(
  { topics, settings, chance }: SelectionRequest,
  candidates: Candidates,
): Promise<void> {
  const of = candidates.count();
  const most = settings.max_pairs ?? of;
  const duplicates = comparesPrompts(settings.gates)
    ? new Duplicates(candidates, settings.gates.duplicates, chance)
    : null;
  try {
    let [seen, kept] = [0, 0];
    for (const pair of candidates.inOrder()) {
      const finding = findingOf(pair, kept, most, duplicates);
      if (finding) candidates.leaveOut(pair, finding);
      else kept += 1;
      if (++seen % 1000 === 0 || seen === of) {
        topics.progress?.({ step: 'comparing pairs', done: seen, of });
        // Nothing here waits for anything, and signals want their turn.
        await setImmediate();
      }
    }
  } finally {
    duplicates?.close();
  }
}

const findingOf = (
  pair: Fit,
  kept: number,
  most: number,
  duplicates: Duplicates | null,
): Finding | null =>
  kept >= most ? { reason: 'over-cap', detail: '' } : (duplicates?.findingOf(pair) ?? null);

const comparesPrompts = ({ duplicates: { exact, near } }: GateSettings): boolean =>
  exact || near !== null;

const distanceOf = ({ row: { chosen, rejected } }: Candidate): number =>
  editDistance(chosen, rejected);

function outOfBand(distance: number, { min, max }: GateSettings['distance']): Finding | null {
  const detail = distance.toFixed(4);
  if (distance < min) return { reason: 'too-close', detail };
  return distance > max ? { reason: 'too-far', detail } : null;
}
