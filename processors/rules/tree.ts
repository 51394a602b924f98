import { createHash } from 'node:crypto';
import type { Candidate, Expansion, JudgeBy, PathNode, TreeNode } from '../../schemas/records.ts';
import type { Settings } from '../settings.ts';
import type { Count } from './vote.ts';

type Search = Settings['search'] & Partial<Pick<Gate, 'isReached'>>;

/** The part of a record that is the tree: every node with a value, and the nodes to refine next in rank order. */
export type Tree = Pick<
  Expansion,
  'nodes' | 'frontier' | 'level_children' | 'evaluated' | 'dropped'
>;

/** What the value of a node is compared with. */
export interface Gate {
  readonly gate: number;
  /** Whether a value is enough that reaches the gate and is not above it. */
  readonly isReached: boolean;
}

/** Votes have to come out above their gate; code, which has no doubts, has to reach its own. */
export const gateOf = (
  { gate, code_gate }: Pick<Settings['search'], 'gate' | 'code_gate'>,
  by: JudgeBy,
): Gate => (by === 'code' ? { gate: code_gate, isReached: true } : { gate, isReached: false });

export const passes = (
  value: number,
  { gate, isReached = false }: Pick<Gate, 'gate'> & Partial<Gate>,
): boolean => value > gate || (isReached && value === gate);

/** What the votes on a text, or code, came to. */
export interface Judgement extends Count, Pick<TreeNode, 'judged_by'> {
  readonly value: number;
  readonly critique: string;
}

/** A child and its judgement; null if it is dropped, because it has no text or its votes tied in every round. */
export interface Answer {
  readonly candidate: Candidate;
  readonly judgement: Judgement | null;
}

/** A tree after its answers: to be refined further, or at its end. */
export type Grown =
  | { readonly state: 'open' | 'exhausted'; readonly tree: Tree }
  | { readonly state: 'accepted'; readonly tree: Tree; readonly path: readonly PathNode[] };

/** A place for a new child. */
export interface Place extends Pick<Candidate, 'node_id' | 'parent_id' | 'depth' | 'child'> {
  readonly parent: { readonly text: string; readonly critique: string };
}

/** A tree of one node, the failed response. */
export function plant(text: string, judgement: Judgement): Tree {
  const root: TreeNode = {
    node_id: 'r',
    parent_id: null,
    depth: 0,
    child: 0,
    text,
    text_hash: hashOf(text),
    answer: null,
    ...judgement,
  };
  return { nodes: [root], frontier: [root.node_id], level_children: 0, evaluated: 0, dropped: 0 };
}

/**
 * Where the next children go, in order of creation: parents in their rank, then the number of the child. A level is
 * the children of the whole frontier breadth-first, of its first node depth-first; it is refined at once, or in waves.
 */
export function placesIn(
  tree: Tree,
  { strategy, branch, wave }: Pick<Search, 'strategy' | 'branch' | 'wave'>,
): readonly Place[] {
  const level = parentsIn(tree, strategy).flatMap((id) => {
    const node = nodeIn(tree, id);
    const parent = { text: textOf(node), critique: node.critique };
    return Array.from({ length: branch }, (_, child) => ({
      node_id: `${id}.${child}`,
      parent_id: id,
      depth: node.depth + 1,
      child,
      parent,
    }));
  });
  const from = tree.level_children;
  return level.slice(from, wave === null ? undefined : from + wave);
}

/** Children of the present level that come after these. */
export const childrenAfter = (
  tree: Tree,
  children: number,
  { strategy, branch }: Pick<Search, 'strategy' | 'branch'>,
): number =>
  Math.max(0, parentsIn(tree, strategy).length * branch - tree.level_children - children);

/** Whether a child with this value ends its tree, whatever the children after it would be worth. */
export function endsTree(
  value: number,
  search: Pick<Search, 'accept' | 'gate' | 'sure' | 'isReached'>,
): boolean {
  switch (search.accept) {
    case 'best':
      return false;
    case 'first-unbeatable':
      // Equal values rank by creation: of all that could come, none would be chosen in its place.
      return value === 1;
    case 'first-sure':
      return value >= search.sure && passes(value, search);
    case 'first':
      return passes(value, search);
  }
}

/**
 * The tree after its new children were judged: the search of SPaR (arXiv 2412.11605), one step of it.
 *
 * If the best node of a level is above the gate, the tree ends with it. Otherwise the best `keep` are refined further,
 * until the depth or the number of nodes is used up. Nodes rank by value, equal ones by creation, so `answers` come
 * in the order of `placesIn`. A level that reaches `max_nodes` may still accept, and is completed.
 *
 * A level that is refined in waves goes on until it is complete, unless a child ends the tree at once.
 */
export function grow(tree: Tree, answers: readonly Answer[], search: Search): Grown {
  const children = answers.flatMap(toNode);
  const parents = parentsIn(tree, search.strategy);
  const earlier = tree.nodes.filter(
    ({ parent_id }) => parent_id !== null && parents.includes(parent_id),
  );
  const isComplete = search.wave === null || childrenAfter(tree, answers.length, search) === 0;
  const grown = {
    nodes: [...tree.nodes, ...children],
    evaluated: tree.evaluated + children.length,
    dropped: tree.dropped + answers.length - children.length,
  };
  // Sorting is stable: equal values stay in order of creation.
  const ranked = [...earlier, ...children].sort((one, other) => other.value - one.value);
  const [best] = ranked.filter(({ value }) => isComplete && passes(value, search));
  const chosen = children.find(({ value }) => endsTree(value, search)) ?? best;
  if (chosen) {
    const accepted = { ...grown, frontier: [], level_children: 0 };
    return { state: 'accepted', tree: accepted, path: pathTo(accepted, chosen.node_id) };
  }
  if (!isComplete) {
    const { frontier, level_children } = tree;
    const going = { ...grown, frontier, level_children: level_children + answers.length };
    const level = ranked.map(({ node_id }) => node_id);
    return { state: 'open', tree: slim(going, [...frontier, ...level]) };
  }
  const kept = ranked
    .filter(({ depth }) => depth < search.depth)
    .slice(0, Math.min(search.keep, search.branch))
    .map(({ node_id }) => node_id);
  // Depth-first, what is kept goes on top of the stack; breadth-first, the whole frontier has been used up.
  const waiting = tree.frontier.slice(parents.length);
  const frontier = grown.evaluated >= search.max_nodes ? [] : [...kept, ...waiting];
  return {
    state: frontier.length > 0 ? 'open' : 'exhausted',
    tree: slim({ ...grown, frontier, level_children: 0 }, frontier),
  };
}

/** The first node whose text is equal after trimming; the root does not count, as its votes are the sample's. */
export const equalNode = (tree: Tree, text: string): TreeNode | null => {
  const hash = hashOf(text);
  return tree.nodes.find(({ depth, text_hash }) => depth > 0 && text_hash === hash) ?? null;
};

/** SHA-256 of the trimmed text, in hex. */
export const hashOf = (text: string): string =>
  createHash('sha256').update(text.trim()).digest('hex');

function parentsIn({ frontier }: Tree, strategy: Search['strategy']): readonly string[] {
  return strategy === 'breadth-first' ? frontier : frontier.slice(0, 1);
}

function toNode({ candidate, judgement }: Answer): readonly TreeNode[] {
  const { node_id, parent_id, depth, child, text, answer } = candidate;
  if (text === null || !judgement) return [];
  const { value, yes, no, invalid, critique, judged_by } = judgement;
  return [
    {
      node_id,
      parent_id,
      depth,
      child,
      text,
      text_hash: hashOf(text),
      answer,
      value,
      yes,
      no,
      invalid,
      critique,
      judged_by,
    },
  ];
}

/**
 * Bodies stay in the record only where a refinement may still need them: at the frontier, in a level that is not
 * complete, and above both.
 */
function slim(tree: Tree, open: readonly string[]): Tree {
  const needed = new Set(open.flatMap((id) => ancestry(tree, id)));
  return {
    ...tree,
    nodes: tree.nodes.map((node) =>
      needed.has(node.node_id) ? node : { ...node, text: null, answer: null },
    ),
  };
}

function pathTo(tree: Tree, id: string): readonly PathNode[] {
  return ancestry(tree, id).map((ancestor) => {
    const node = nodeIn(tree, ancestor);
    const { node_id, parent_id, depth, answer, value } = node;
    const { yes, no, invalid, critique, judged_by } = node;
    const text = textOf(node);
    const judgement = { value, yes, no, invalid, critique, judged_by };
    return { node_id, parent_id, depth, text, answer, ...judgement };
  });
}

/** From the root down to the node. Every step goes one level up, so hostile parents cannot make a circle. */
function ancestry(tree: Tree, id: string): readonly string[] {
  const ids: string[] = [];
  for (let node = nodeIn(tree, id); ;) {
    ids.unshift(node.node_id);
    if (node.parent_id === null) return ids;
    const parent = nodeIn(tree, node.parent_id);
    if (parent.depth !== node.depth - 1) throw new Error(`${node.node_id} is not below its parent`);
    node = parent;
  }
}

function nodeIn(tree: Tree, id: string): TreeNode {
  const node = tree.nodes.find(({ node_id }) => node_id === id);
  if (!node) throw new Error(`the tree has no node ${id}`);
  return node;
}

function textOf({ node_id, text }: TreeNode): string {
  if (text === null) throw new Error(`the text of ${node_id} is no longer in the tree`);
  return text;
}
