import { fullId } from '../../processors/rules/ids.ts';
import type { Chance } from '../../processors/rules/chance.ts';
import {
  assemble,
  nodeRows,
  refineRow,
  verdictRows,
  type SetName,
  type TrainingRow,
} from '../../processors/rules/training.ts';
import type { Settings } from '../../processors/settings.ts';
import type { Refinement, SearchNode, Verdicts } from '../../schemas/records.ts';
import { topics as all } from '../../topology/topics.ts';
import { chanceOf } from '../runtime/chance.ts';
import { openScratch } from './scratch.ts';
import type { ExportSettings } from './settings.ts';
import { Smallest } from './smallest.ts';
import { recordAt, records, type Topics } from './topic.ts';

/** A refiner row with the instruction that it comes from, which decides its split. */
export interface RefinerRow extends TrainingRow {
  readonly instruction: string;
}

/** A record that a row could be made from. */
export type RecordSource =
  | { readonly kind: 'refinement'; readonly row: Refinement }
  | { readonly kind: 'verdicts'; readonly row: Verdicts }
  | { readonly kind: 'node'; readonly row: SearchNode };

/** The votes on a text, and what code found in it. */
export type JudgedText = Pick<SearchNode, 'votes' | 'checks'>;

/** Whose text it is: the id of the row that it would be in. */
export interface TextOf {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
}

/** What keeps records out. */
export interface RecordGates {
  /** Told the place of a record that is none. */
  readonly undecodable: (place: string) => void;
  /** Whether rows may be made from the record; what keeps one out is noted. */
  readonly stays: (source: RecordSource) => boolean;
  /**
   * Whether a text may be taught as a good answer, or as one that passes: not if it breaks a constraint of its
   * instruction. What keeps one out is noted.
   */
  readonly good: (of: TextOf, text: string) => boolean;
  /** Told of every text that was judged, so that the topics need not be read once more. */
  readonly judged: (text: JudgedText) => void;
}

/** What the rules need of an iteration, by its id. */
export type Iterations = ReadonlyMap<
  string,
  { readonly seed: number; readonly prompts: Settings['prompts'] }
>;

/**
 * The refiner's training set, assembled. Rows come and go while the topics are read; never more than about twice
 * the caps are held, since a set's cap takes the rows that its shuffle puts first.
 */
export async function refinerRows(
  topics: Topics,
  iterations: Iterations,
  caps: ExportSettings['caps'],
  order: Chance,
  { undecodable, stays, good, judged }: RecordGates,
): Promise<readonly RefinerRow[]> {
  const sets = {
    refine: new Smallest<RefinerRow>(caps.refine),
    above: new Smallest<RefinerRow>(caps.above),
    below: new Smallest<RefinerRow>(caps.below),
    fail: new Smallest<RefinerRow>(caps.fail),
    pass: new Smallest<RefinerRow>(caps.pass),
  } satisfies Record<SetName, unknown>;
  const keep = (set: SetName, row: TrainingRow, instruction: string) =>
    // The same draw as `assemble` makes for its shuffle before the cap.
    sets[set].add(order(`cap/${set}/${row.id}`), row.id, { ...row, instruction });

  for await (const { row } of records(topics, all.refinements, undecodable)) {
    const iteration = iterations.get(row.iteration);
    if (!iteration || !stays({ kind: 'refinement', row })) continue;
    if (!good(row, row.text)) continue;
    keep('refine', refineRow(row, iteration.prompts), row.instruction_id);
  }

  for await (const { row } of records(topics, all.verdicts, undecodable)) {
    const iteration = iterations.get(row.iteration);
    if (iteration) row.judged.forEach(judged);
    if (!iteration || !stays({ kind: 'verdicts', row })) continue;
    for (const { index, text } of row.responses) {
      const its = { ...row, judged: row.judged.filter((one) => one.index === index) };
      const { pass, fail } = verdictRows(its, iteration.prompts);
      for (const one of pass) {
        if (good({ ...row, id: one.id }, text)) keep('pass', one, row.instruction_id);
      }
      for (const one of fail) keep('fail', one, row.instruction_id);
    }
  }

  for await (const { tree, nodes } of trees(topics, iterations, undecodable, judged)) {
    const [node] = nodes;
    const { iteration: id, instruction_id: instruction } = node;
    const iteration = iterations.get(id);
    if (!iteration || !stays({ kind: 'node', row: node })) continue;
    const chance = chanceOf(iteration.seed, id, tree);
    // A critique that praises what breaks a constraint is one that the judge must not learn; one that blames is fine.
    const fitting = nodes.filter(
      (one) => !isPraised(one) || one.text === null || good(one, one.text),
    );
    const { above, below } = nodeRows(fitting, chance, iteration.prompts);
    if (above) keep('above', above, instruction);
    if (below) keep('below', below, instruction);
  }

  const kept = (set: SetName) => sets[set].items();
  const rows = {
    refine: kept('refine'),
    above: kept('above'),
    below: kept('below'),
    fail: kept('fail'),
    pass: kept('pass'),
  };
  // The rules hand the very rows back that they were given.
  return assemble(rows, caps, order) as readonly RefinerRow[];
}

const isPraised = ({ judged_by, value }: SearchNode): boolean =>
  judged_by === 'model' && value !== null && value > 0.5;

/**
 * All nodes of a tree whose votes differed, tree by tree. The nodes of one may be far apart in the topic, so their
 * places are sorted first, on disk: there are more of them than of anything else.
 */
async function* trees(
  topics: Topics,
  iterations: Iterations,
  undecodable: (place: string) => void,
  judged: RecordGates['judged'],
): AsyncGenerator<{
  readonly tree: string;
  readonly nodes: readonly [SearchNode, ...(readonly SearchNode[])];
}> {
  const places = createPlaces();
  try {
    for await (const { row, position } of records(topics, all.nodes, undecodable)) {
      if (iterations.has(row.iteration)) judged(row);
      // Only a node whose votes differed can make a row, and most have a unanimous judge.
      if (!iterations.has(row.iteration) || row.value === null) continue;
      if (row.value === 0 || row.value === 1) continue;
      places.add(fullId(row.iteration, row.instruction_id, String(row.tree)), position);
    }
    let open = '';
    const nodes = new Map<string, SearchNode>();
    for (const { tree, position } of places.inOrder(topics)) {
      const [first, ...others] = nodes.values();
      if (tree !== open && first) yield { tree: open, nodes: [first, ...others] };
      if (tree !== open) nodes.clear();
      open = tree;
      const node = await recordAt(topics, all.nodes, position);
      nodes.set(node.node_id, node);
    }
    const [first, ...others] = nodes.values();
    if (first) yield { tree: open, nodes: [first, ...others] };
  } finally {
    places.close();
  }
}

function createPlaces() {
  const database = openScratch(
    'CREATE TABLE places (tree TEXT, position INTEGER, PRIMARY KEY (tree, position)) WITHOUT ROWID',
  );
  const insert = database.prepare('INSERT OR IGNORE INTO places VALUES (?, ?)');
  const next = database.prepare(
    'SELECT tree, position FROM places WHERE (tree, position) > (?, ?) ORDER BY tree, position LIMIT ?',
  );
  let count = 0;
  return {
    add: (tree: string, position: number) => {
      count += insert.run(tree, position);
    },
    /** Those of one tree after each other, in the order of the topic. */
    *inOrder({
      progress,
    }: Topics): Generator<{ readonly tree: string; readonly position: number }> {
      let done = 0;
      for (let [tree, position] = ['', -1]; ;) {
        const page = next
          .all(tree, position, placesAtOnce)
          .map((row) => ({ tree: String(row[0]), position: Number(row[1]) }));
        yield* page;
        done += page.length;
        progress?.({ step: 'reading trees', done, of: count });
        const last = page.at(-1);
        if (!last) return;
        ({ tree, position } = last);
      }
    },
    close: () => database.close(),
  };
}

/** Places that are held in memory. */
const placesAtOnce = 1000;
