import type {
  Candidate,
  Check,
  Evaluation,
  Expansion,
  Outcome,
  Refinement,
  SearchNode,
  Spend,
  Vote,
} from '../schemas/records.ts';
import { checked } from './code.ts';
import { Cancelled, type Context, type Processor } from './processor.ts';
import { judgeOf } from './rules/code.ts';
import { fullId } from './rules/ids.ts';
import { savingsOf, savingsWith } from './rules/savings.ts';
import { noSpend, addSpend, spendOf, spendWith } from './rules/spend.ts';
import {
  childrenAfter,
  endsTree,
  equalNode,
  gateOf,
  grow,
  hashOf,
  type Judgement,
  type Tree,
} from './rules/tree.ts';
import { count, tally, valueOf } from './rules/vote.ts';
import { Siblings } from './siblings.ts';
import { votesOn } from './votes.ts';

/** Judges a tree's new children and decides how it goes on: to the next refinements, or to its end. */
export const evaluate: Processor<
  Evaluation,
  { nodes: SearchNode; expand: Expansion; refinements: Refinement; outcomes: Outcome }
> = async (record, context) => {
  const { candidates, ...expansion } = record;
  const search = searchOf(record, context);
  const judged = await judgeAll(record, context);
  const children = judged.filter(({ isWanted }) => isWanted);
  const nodes = children.map((child) => searchNode(record, child, context));
  const grown = grow(record, children, search);
  const spared = grown.state === 'accepted' ? childrenAfter(record, candidates.length, search) : 0;
  const after = {
    ...expansion,
    ...grown.tree,
    // What was answered has been paid for, whether it is still wanted or not.
    ...spendWith(
      record,
      judged.map(({ spend }) => spend),
    ),
    ...savingsWith(record, {
      saved_early_votes: children.reduce((sum, { spared: votes }) => sum + votes, 0),
      saved_code_votes: children.reduce((sum, { vetoed: votes }) => sum + votes, 0),
      saved_children: spared,
      cancelled_calls: judged.filter(({ isCancelled }) => isCancelled).length,
    }),
  };
  switch (grown.state) {
    case 'open':
      return { nodes, expand: [after] };
    case 'exhausted':
      return { nodes, outcomes: [exhausted(after)] };
    case 'accepted':
      return { nodes, refinements: [refinement(after, grown.path, context)] };
  }
};

interface Child {
  readonly candidate: Candidate;
  readonly judgement: Judgement | null;
  readonly votes: readonly Vote[];
  readonly rounds: number;
  readonly equalTo: string | null;
  readonly spend: Spend;
  /** Votes that were not cast, since the first ones had decided. */
  readonly spared: number;
  /** Votes that were not cast, since code had decided. */
  readonly vetoed: number;
  readonly checks: readonly Check[];
  /** Whether its votes were broken off. */
  readonly isCancelled: boolean;
}

/**
 * Every candidate judged, in order of creation. Where siblings are cancelled, those behind one that ends the tree are
 * no longer wanted, whatever became of them: which they are does not depend on whose votes came first.
 */
async function judgeAll(
  record: Evaluation,
  context: Context,
): Promise<readonly (Child & { readonly isWanted: boolean })[]> {
  const { candidates } = record;
  const siblings = new Siblings(candidates.length, context.settings.search.cancel, context.signal);
  try {
    const placed = candidates.map((candidate, index) => ({ candidate, index }));
    const groups = Object.values(
      Object.groupBy(placed, ({ candidate: { node_id, text } }) =>
        text === null ? node_id : hashOf(text),
      ),
    );
    const judged = await Promise.all(
      groups.map((group = []) => judgeEqual(group, record, context, siblings)),
    );
    return judged
      .flat()
      .sort((one, other) => one.index - other.index)
      .map(({ index, child }) => ({ ...child, isWanted: siblings.wants(index) }));
  } finally {
    siblings.end();
  }
}

interface Placed {
  readonly candidate: Candidate;
  /** Where it stands in the wave. */
  readonly index: number;
}

/**
 * Children with one and the same text, in order of creation. Once the text has a value, here or earlier in the tree,
 * the others take it over; one that was left undecided is judged afresh.
 */
async function judgeEqual(
  group: readonly Placed[],
  record: Evaluation,
  context: Context,
  siblings: Siblings,
): Promise<readonly { readonly index: number; readonly child: Child }[]> {
  const search = searchOf(record, context);
  const children: { readonly index: number; readonly child: Child }[] = [];
  let known = knownNode(record, group);
  for (const { candidate, index } of group) {
    const signal = siblings.signalOf(index);
    const child = known
      ? { candidate, judgement: known.judgement, ...unasked, equalTo: known.node_id }
      : await judgeAfresh(candidate, record, { ...context, signal });
    if (child.judgement && !known) {
      known = { node_id: candidate.node_id, judgement: child.judgement };
    }
    const { judgement } = child;
    siblings.decided(index, judgement !== null && endsTree(judgement.value, search));
    children.push({ index, child });
  }
  return children;
}

function knownNode(
  tree: Tree,
  [first]: readonly Placed[],
): { readonly node_id: string; readonly judgement: Judgement } | null {
  const text = first?.candidate.text ?? null;
  const node = text === null ? null : equalNode(tree, text);
  if (!node) return null;
  const { node_id, value, yes, no, invalid, critique, judged_by } = node;
  return { node_id, judgement: { value, yes, no, invalid, critique, judged_by } };
}

const unasked = {
  votes: [],
  rounds: 0,
  spend: noSpend,
  spared: 0,
  vetoed: 0,
  checks: [],
  isCancelled: false,
};

/**
 * What code decides; otherwise votes until they decide, all of them again after a tie: rounds are never pooled, and
 * only the last one counts. One that is cancelled comes back as far as it got, with what that has cost.
 */
async function judgeAfresh(
  candidate: Candidate,
  record: Evaluation,
  context: Context,
): Promise<Child> {
  const { node_id, text } = candidate;
  let child: Child = { candidate, judgement: null, ...unasked, equalTo: null };
  if (text === null) return child;
  const { checks, decision } = checked(text, record, context);
  child = { ...child, checks };
  if (decision) {
    const judgement = { ...count([]), ...decision, judged_by: 'code' } as const;
    return { ...child, judgement, vetoed: context.settings.judge.votes };
  }
  const { rounds, stop_in_tree: stop, ...sampling } = context.settings.judge;
  const { gate } = context.settings.search;
  const ask = (round: number) => {
    const draws = { path: `${record.tree}/${node_id}`, round };
    return votesOn(text, record, draws, { ...sampling, stop }, context, gate);
  };
  while (!child.judgement && child.rounds < rounds) {
    try {
      const { votes, spend, isCut } = await ask(child.rounds);
      child = { ...child, spend: addSpend(child.spend, spend) };
      if (isCut) return { ...child, isCancelled: true };
      child = {
        ...child,
        judgement: judgementOf(votes),
        votes,
        rounds: child.rounds + 1,
        spared: child.spared + sampling.votes - votes.length,
      };
    } catch (error) {
      if (!(error instanceof Cancelled)) throw error;
      return { ...child, isCancelled: true };
    }
  }
  return child;
}

function judgementOf(votes: readonly Vote[]): Judgement | null {
  const counted = count(votes);
  const value = valueOf(counted);
  const { critique } = tally(0, votes);
  return value === null || critique === null
    ? null
    : { ...counted, value, critique, judged_by: 'model' };
}

/** The search with the gate of whoever judges the tree. */
const searchOf = (record: Evaluation, { settings }: Pick<Context, 'settings'>) => ({
  ...settings.search,
  ...gateOf(settings.search, judgeOf(record, settings)),
});

function searchNode(record: Evaluation, child: Child, { settings }: Context): SearchNode {
  const { candidate, judgement, votes, rounds, equalTo, checks } = child;
  const { iteration, instruction_id, tree, trees, messages } = record;
  const { node_id, parent_id, depth, child: number, text, answer, reasoning, calls } = candidate;
  return {
    id: fullId(iteration, instruction_id, String(tree), node_id),
    iteration,
    instruction_id,
    tree,
    trees,
    messages,
    node_id,
    parent_id,
    depth,
    child: number,
    state: text === null ? 'unparsed' : judgement ? 'evaluated' : 'undecided',
    text,
    answer,
    reasoning,
    refine_calls: calls,
    value: judgement?.value ?? null,
    votes,
    checks,
    rounds,
    critique: judgement?.critique ?? null,
    judged_by: judgement?.judged_by ?? 'model',
    equal_to: equalTo,
    ...lineage(settings),
  };
}

function refinement(tree: Expansion, path: Refinement['path'], { settings }: Context): Refinement {
  const accepted = path.at(-1);
  if (!accepted) throw new Error(`${tree.id} was accepted without a node`);
  const { id, iteration, instruction_id, trees, messages, evaluated, dropped } = tree;
  const { node_id, depth, text, value } = accepted;
  const by = judgeOf(tree, settings);
  return {
    id,
    iteration,
    instruction_id,
    tree: tree.tree,
    trees,
    messages,
    node_id,
    depth,
    text,
    value,
    gate: gateOf(settings.search, by).gate,
    judge_by: by,
    path,
    evaluated,
    dropped,
    ...lineage(settings),
    ...spendOf(tree),
    ...savingsOf(tree),
  };
}

const lineage = ({ models, prompts }: Context['settings']) => ({
  judge_model: models.judge,
  judge_prompt: prompts.judge.hash,
  refiner_model: models.refiner,
  refine_prompt: prompts.refine.hash,
});

const exhausted = (tree: Expansion): Outcome => ({
  id: tree.id,
  iteration: tree.iteration,
  instruction_id: tree.instruction_id,
  tree: tree.tree,
  trees: tree.trees,
  outcome: 'exhausted',
  cause: null,
  revision: 0,
  evaluated: tree.evaluated,
  ...spendOf(tree),
  ...savingsOf(tree),
});
