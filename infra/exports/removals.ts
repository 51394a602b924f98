import type { Removal } from '../../schemas/records.ts';
import { topics as all } from '../../topology/topics.ts';
import type { Asked, Finding } from './gates/gate.ts';
import { records, type Topics } from './topic.ts';

/** What people took out of exports. There are few, so they are held in memory. */
export interface Removals {
  /** Why nothing of an instruction may be exported; null if it may. */
  ofInstruction(asked: Asked): Finding | null;
  /** Why a pair, or the refinement behind it, may not be exported; null if it may. */
  ofPair(id: string): Finding | null;
}

/** The latest decision about each thing holds. */
export async function removalsIn(
  topics: Topics,
  undecodable: (place: string) => void,
): Promise<Removals> {
  const instructions = new Map<string, Removal>();
  const pairs = new Map<string, Removal>();
  for await (const { row } of records(topics, all.removals, undecodable)) {
    if (row.pair_id === null) instructions.set(row.instruction_id, row);
    else pairs.set(row.pair_id, row);
  }
  return {
    ofInstruction: ({ instruction_id }) => findingOf('purged', instructions.get(instruction_id)),
    ofPair: (id) => findingOf('rejected-by-hand', pairs.get(id)),
  };
}

const findingOf = (
  reason: 'purged' | 'rejected-by-hand',
  removal: Removal | undefined,
): Finding | null =>
  removal?.removed ? { reason, detail: `${removal.who}: ${removal.why}` } : null;
