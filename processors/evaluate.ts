import type {
  Candidate,
  Evaluation,
  Expansion,
  Outcome,
  Refinement,
  SearchNode,
  Spend,
  Vote,
} from '../schemas/records.ts';
import type { Context, Processor } from './processor.ts';
import { fullId } from './rules/ids.ts';
import { noSpend, addSpend, spendOf, spendWith } from './rules/spend.ts';
import { equalNode, grow, hashOf, type Judgement, type Tree } from './rules/tree.ts';
import { count, tally, valueOf } from './rules/vote.ts';
import { votesOn } from './votes.ts';

/** Judges a tree's new children and decides how it goes on: to the next refinements, or to its end. */
export const evaluate: Processor<
  Evaluation,
  { nodes: SearchNode; expand: Expansion; refinements: Refinement; outcomes: Outcome }
> = async (record, context) => {
  const { candidates, ...expansion } = record;
  const groups = Object.values(
    Object.groupBy(candidates, ({ node_id, text }) => (text === null ? node_id : hashOf(text))),
  );
  const judged = await Promise.all(
    groups.map((group = []) => judgeEqual(group, record, context)),
  ).then((all) => new Map(all.flat().map((child) => [child.candidate.node_id, child])));
  const children = candidates.flatMap(({ node_id }) => judged.get(node_id) ?? []);
  const nodes = children.map((child) => searchNode(record, child, context));
  const spend = spendWith(
    record,
    children.map(({ spend: asked }) => asked),
  );
  const grown = grow(record, children, context.settings.search);
  const after = { ...expansion, ...grown.tree, ...spend };
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
}

/**
 * Children with one and the same text, in order of creation. Once the text has a value, here or earlier in the tree,
 * the others take it over; one that was left undecided is judged afresh.
 */
async function judgeEqual(
  candidates: readonly Candidate[],
  record: Evaluation,
  context: Context,
): Promise<readonly Child[]> {
  const children: Child[] = [];
  let known = knownNode(record, candidates);
  for (const candidate of candidates) {
    const child = known
      ? { candidate, judgement: known.judgement, ...unasked, equalTo: known.node_id }
      : await judgeAfresh(candidate, record, context);
    if (child.judgement && !known) {
      known = { node_id: candidate.node_id, judgement: child.judgement };
    }
    children.push(child);
  }
  return children;
}

function knownNode(
  tree: Tree,
  [first]: readonly Candidate[],
): { readonly node_id: string; readonly judgement: Judgement } | null {
  const node = first?.text == null ? null : equalNode(tree, first.text);
  if (!node) return null;
  const { node_id, value, yes, no, invalid, critique } = node;
  return { node_id, judgement: { value, yes, no, invalid, critique } };
}

const unasked = { votes: [], rounds: 0, spend: noSpend };

/** Votes until they decide, all of them again after a tie: rounds are never pooled, and only the last one counts. */
async function judgeAfresh(
  candidate: Candidate,
  record: Evaluation,
  context: Context,
): Promise<Child> {
  const { node_id, text } = candidate;
  let child: Child = { candidate, judgement: null, ...unasked, equalTo: null };
  if (text === null) return child;
  const { rounds, stop_in_tree: stop, ...sampling } = context.settings.judge;
  while (!child.judgement && child.rounds < rounds) {
    const draws = { path: `${record.tree}/${node_id}`, round: child.rounds };
    const { votes, spend } = await votesOn(text, record, draws, { ...sampling, stop }, context);
    child = {
      ...child,
      judgement: judgementOf(votes),
      votes,
      rounds: child.rounds + 1,
      spend: addSpend(child.spend, spend),
    };
  }
  return child;
}

function judgementOf(votes: readonly Vote[]): Judgement | null {
  const counted = count(votes);
  const value = valueOf(counted);
  const { critique } = tally(0, votes);
  return value === null || critique === null ? null : { ...counted, value, critique };
}

function searchNode(record: Evaluation, child: Child, { settings }: Context): SearchNode {
  const { candidate, judgement, votes, rounds, equalTo } = child;
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
    rounds,
    critique: judgement?.critique ?? null,
    equal_to: equalTo,
    ...lineage(settings),
  };
}

function refinement(tree: Expansion, path: Refinement['path'], { settings }: Context): Refinement {
  const accepted = path.at(-1);
  if (!accepted) throw new Error(`${tree.id} was accepted without a node`);
  const { id, iteration, instruction_id, trees, messages, evaluated, dropped } = tree;
  const { node_id, depth, text, value } = accepted;
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
    gate: settings.search.gate,
    path,
    evaluated,
    dropped,
    ...lineage(settings),
    ...spendOf(tree),
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
});
