import { PermanentError } from '../../processors/processor.ts';
import { fullId, partsOf } from '../../processors/rules/ids.ts';
import { satisfiedShare } from '../../processors/rules/code.ts';
import type { Count } from '../../processors/rules/vote.ts';
import type { Check, Judged, Outcome } from '../../schemas/records.ts';
import type { TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { latestRow } from '../codec/rows.ts';
import type { RecordOrigin } from '../codec/serde.ts';
import type { HomeView } from '../home/home.ts';
import { oneLine } from '../text.ts';

/** The record as it is read, or its bytes if it cannot be. */
export async function decodedOrBytes(
  { serde }: Pick<HomeView, 'serde'>,
  topic: TopicInfo,
  bytes: Uint8Array,
  origin?: RecordOrigin,
): Promise<unknown> {
  try {
    return await serde.decode(topic.schema, bytes, origin);
  } catch (error) {
    if (error instanceof PermanentError) return { base64: bytes };
    throw error;
  }
}

/**
 * The ids of trees that a person may mean: a full id (`iteration/instruction/tree`), the same without its tree, or
 * the id of an instruction.
 */
export function treeIds(id: string, iteration: string): readonly string[] {
  const parts = partsOf(id).length;
  return [
    ...(parts === 3 ? [id] : []),
    ...(parts === 2 ? [`${id}/0`] : []),
    fullId(iteration, id, '0'),
  ];
}

/** How the instruction or tree that a person may mean ended; null if nothing is known of it. */
export async function outcomeOf(view: HomeView, ids: readonly string[]): Promise<Outcome | null> {
  for (const id of ids) {
    const [iteration = '', instruction = ''] = partsOf(id);
    for (const key of [id, fullId(iteration, instruction)]) {
      const outcome = await latestRow(view, topics.outcomes, key);
      if (outcome) return outcome;
    }
  }
  return null;
}

/** In words, for someone who looks for a pair or a tree that is not there. */
export function outcomeText({ outcome, cause }: Pick<Outcome, 'outcome' | 'cause'>): string {
  switch (outcome) {
    case 'all-passed':
      return 'every response passed, so nothing was refined';
    case 'undecided':
      return 'no response failed and some votes tied, so nothing was refined';
    case 'paired':
      return 'a refinement was accepted and paired';
    case 'exhausted':
      return 'no refinement passed before the search was used up';
    case 'failed':
      return `it failed (${oneLine(cause ?? 'cause unknown')})`;
    case 'stopped':
      return `it was stopped (${oneLine(cause ?? 'cause unknown')})`;
  }
}

export const votesText = ({ yes, no, invalid }: Count): string =>
  `${yes} yes, ${no} no${invalid > 0 ? `, ${invalid} invalid` : ''}`;

/** Who decided about a text, and what there is to say for it. */
export interface Decided extends Count, Pick<Judged, 'judged_by'> {
  /** Null if they are no longer kept. */
  readonly checks: readonly Check[] | null;
}

/** What the votes on a text came to, or what code found; where votes decided and code looked on, both. */
export function decidedText({ judged_by: by, checks, ...votes }: Decided): string {
  const found = checksText(checks ?? []);
  if (by === 'code') return found === null ? 'by code' : `by code: ${found}`;
  return found === null ? votesText(votes) : `${votesText(votes)}; code: ${found}`;
}

function checksText(checks: readonly Check[]): string | null {
  const of = (outcome: Check['outcome']) => checks.filter((one) => one.outcome === outcome).length;
  const [satisfied, broken, unknown] = [of('satisfied'), of('broken'), of('unknown')];
  if (satisfied + broken === 0) return null;
  return (
    `${satisfied} of ${satisfied + broken} satisfied` +
    (unknown > 0 ? `, ${unknown} not checked` : '')
  );
}

/** A line for each constraint that a text breaks, with what was found; in full, for all of them. */
export const checkLines = (checks: readonly Check[] | null, full: boolean): readonly string[] =>
  (checks ?? [])
    .filter(({ outcome }) => full || outcome === 'broken')
    .map(
      ({ id, outcome, detail }) =>
        `${checkMarks[outcome]} ${oneLine(id, 80)}: ${oneLine(detail, 200)}`,
    );

const checkMarks: Readonly<Record<Check['outcome'], string>> = {
  satisfied: '✓',
  broken: '✗',
  unknown: '?',
};

/** What code found, for machines: null where it is no longer kept, or where code knows none of the constraints. */
export const foundJson = (checks: readonly Check[] | null) => ({
  checks,
  satisfied_share: checks === null ? null : satisfiedShare(checks),
});
