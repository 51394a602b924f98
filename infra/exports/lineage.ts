import { fullId } from '../../processors/rules/ids.ts';
import type { PreferencePair, SearchNode } from '../../schemas/records.ts';
import { topics as all } from '../../topology/topics.ts';
import type { Lineage } from './format.ts';
import { recordAt, records, type Topics } from './topic.ts';

/** Finds what led to a pair. */
export type LineageOf = (pair: PreferencePair) => Promise<Lineage>;

/** Reads the topics once for the places of what led to these pairs; the records are read one pair at a time. */
export async function lineageIn(
  topics: Topics,
  pairs: ReadonlySet<string>,
  undecodable: (place: string) => void,
): Promise<LineageOf> {
  const nodes = new Map<string, number[]>();
  for await (const { row, position } of records(topics, all.nodes, undecodable)) {
    const tree = fullId(row.iteration, row.instruction_id, String(row.tree));
    if (!pairs.has(tree)) continue;
    const known = nodes.get(tree);
    if (known) known.push(position);
    else nodes.set(tree, [position]);
  }
  const wanted = new Set([...pairs].map((pair) => pair.slice(0, pair.lastIndexOf('/'))));
  const verdicts = new Map<string, number>();
  for await (const { row, position } of records(topics, all.verdicts, undecodable)) {
    if (wanted.has(row.id)) verdicts.set(row.id, position);
  }
  return async (pair) => {
    const judged = verdicts.get(fullId(pair.iteration, pair.instruction_id));
    return {
      pair,
      verdicts: judged === undefined ? null : await recordAt(topics, all.verdicts, judged),
      nodes: await nodesAt(topics, nodes.get(pair.id) ?? []),
    };
  };
}

async function nodesAt(
  topics: Topics,
  positions: readonly number[],
): Promise<readonly SearchNode[]> {
  const nodes = new Map<string, SearchNode>();
  for (const position of positions) {
    const node = await recordAt(topics, all.nodes, position);
    nodes.set(node.node_id, node);
  }
  return [...nodes.values()].sort(
    (one, other) => one.depth - other.depth || (one.node_id < other.node_id ? -1 : 1),
  );
}
