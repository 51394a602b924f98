import { Command } from 'commander';
import pc from 'picocolors';
import { partsOf } from '../../processors/rules/ids.ts';
import { count, valueOf } from '../../processors/rules/vote.ts';
import type { Negative, Outcome, Refinement, SearchNode } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { RunError } from '../errors.ts';
import { latestRow, rowIn } from '../codec/rows.ts';
import type { HomeView } from '../home/home.ts';
import { newestFirst } from '../log/scan.ts';
import { findIteration, settingsIn } from '../run/iteration.ts';
import { iterationOf } from '../runtime/headers.ts';
import { manyLines, oneLine } from '../text.ts';
import {
  examples,
  homeOption,
  brokersOption,
  registryOption,
  configOption,
  iterationOption,
  jsonOption,
  pipelineOption,
} from './options.ts';
import { counted, indented, jsonLine, print } from './output.ts';
import { homeFlag, placeOf, type PipelineFlags } from './flags.ts';
import { withView } from './pipeline.ts';
import { outcomeOf, outcomeText, treeIds, votesText } from './view.ts';

interface Flags extends PipelineFlags {
  readonly iteration: string;
  readonly full?: true;
  readonly json?: true;
}

export const treeCommand = (): Command =>
  new Command('tree')
    .summary('draw a search tree')
    .description(
      `Draws a tree: the failed response at its root, every refinement that was judged with its value and votes, and
the accepted path. Without ID it is the latest tree that was accepted.`,
    )
    .argument('[id]', 'of the tree (iteration/instruction/tree), or of an instruction')
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .addOption(configOption())
    .addOption(iterationOption())
    .option('--full', 'texts and critiques in full')
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('spar tree', 'spar tree 1/my-id/0', 'spar tree my-id --iteration 2 --full'),
    )
    .action(async (id: string | undefined, flags: Flags, command: Command) => {
      const iteration =
        command.getOptionValueSource('iteration') === 'cli' ? flags.iteration : null;
      await withView(flags, command, async (view) => {
        const tree =
          id === undefined
            ? await treeAt(view, await latestAccepted(view, iteration, flags))
            : await findTree(view, id, flags);
        await print(flags.json ? jsonLine(treeJson(tree)) : treeText(tree, flags.full ?? false));
      });
    });

interface Tree {
  readonly id: string;
  /** Null if it has been forgotten: negatives are kept for a while only. */
  readonly negative: Negative | null;
  readonly refinement: Refinement | null;
  /** Null while it is being searched. */
  readonly outcome: Outcome | null;
  /** By their parent, in order of the child. */
  readonly children: ReadonlyMap<string, readonly SearchNode[]>;
}

const root = 'r';

async function latestAccepted(
  view: HomeView,
  iteration: string | null,
  flags: Flags,
): Promise<string> {
  for await (const record of newestFirst(view.log, nameOnLog(view.pipeline, topics.refinements))) {
    if (iteration !== null && iterationOf(record) !== iteration) continue;
    const accepted = await rowIn(view, topics.refinements, record);
    if (accepted) return accepted.id;
  }
  throw new RunError(
    `no tree has been accepted yet in ${placeOf(view)}: name another one, which spar tap negatives${homeFlag(flags)} lists`,
  );
}

async function findTree(view: HomeView, id: string, flags: Flags): Promise<Tree> {
  const ids = treeIds(id, flags.iteration);
  for (const key of ids) {
    const tree = await treeAt(view, key);
    if (tree.negative ?? tree.refinement ?? tree.children.size > 0) return tree;
  }
  const outcome = await outcomeOf(view, ids);
  throw new RunError(
    outcome
      ? `${oneLine(id, 80)} has no tree: ${oneLine(outcomeText(outcome))}`
      : `there is no tree ${oneLine(id, 80)}: spar tap negatives${homeFlag(flags)} lists what there is`,
  );
}

async function treeAt(view: HomeView, id: string): Promise<Tree> {
  const refinement = await latestRow(view, topics.refinements, id);
  return {
    id,
    negative: await latestRow(view, topics.negatives, id),
    refinement,
    outcome: await latestRow(view, topics.outcomes, id),
    children: await childrenIn(view, id),
  };
}

/** Nodes are looked up one by one, from the root down: a tree is small, and the topic may be huge. */
async function childrenIn(view: HomeView, id: string): Promise<Tree['children']> {
  const [iteration = ''] = partsOf(id);
  const manifest = await findIteration(view.log, view.serde, view.pipeline, iteration);
  const children = new Map<string, SearchNode[]>();
  if (!manifest) return children;
  const { branch, max_nodes: nodesMax } = settingsIn(manifest).search;
  const parents = [root];
  // Every node that is found is a parent once, so the loop ends with the tree; a foreign topic may hold more.
  for (let parent = parents.shift(); parent !== undefined; parent = parents.shift()) {
    const found: SearchNode[] = [];
    for (let child = 0; child < branch; child++) {
      const node = await latestRow(view, topics.nodes, `${id}/${parent}.${child}`);
      if (node) found.push(node);
    }
    if (found.length === 0) continue;
    children.set(parent, found);
    if (children.size <= nodesMax) parents.push(...found.map(({ node_id }) => node_id));
  }
  return children;
}

function treeJson({ id, negative, refinement, outcome, children }: Tree): object {
  return {
    id,
    outcome: outcome?.outcome ?? null,
    accepted: refinement?.node_id ?? null,
    path: refinement?.path.map(({ node_id }) => node_id) ?? [],
    root: negative,
    nodes: [...children.values()].flat(),
  };
}

function treeText(tree: Tree, full: boolean): string {
  const { id, negative, refinement, outcome, children } = tree;
  const evaluated = [...children.values()]
    .flat()
    .filter(({ state }) => state === 'evaluated').length;
  const messages = negative?.messages ?? refinement?.messages ?? [];
  const lines = [
    `${pc.bold(`Tree ${oneLine(id, 200)}`)}: ${outcome ? outcomeText(outcome) : 'still being searched'}`,
    ...messages.map(
      ({ role, content }) =>
        `  ${pc.bold(oneLine(role, 20))}:${full ? `\n${indented(manyLines(content))}` : ` ${oneLine(content, 100)}`}`,
    ),
    `  ${counted(evaluated, 'node')} judged; ★ accepted, • on the way to it`,
    '',
    ...drawn(tree, full),
    '',
  ];
  return lines.join('\n');
}

/** What is drawn of a node, the root included. */
interface Drawn {
  readonly id: string;
  readonly value: number | null;
  readonly state: SearchNode['state'];
  readonly votes: string;
  readonly text: string;
  readonly critique: string | null;
}

function drawn(tree: Tree, full: boolean): readonly string[] {
  const onPath = new Set(tree.refinement?.path.map(({ node_id }) => node_id) ?? []);
  const accepted = tree.refinement?.node_id;
  const lines: string[] = [];
  const draw = (node: Drawn, before: string, below: string): void => {
    const mark = node.id === accepted ? '★' : onPath.has(node.id) ? '•' : ' ';
    const value = node.value === null ? node.state : node.value.toFixed(2);
    const head = [`${mark} ${before}${oneLine(node.id, 200)}`, oneLine(value, 20), node.votes];
    lines.push(
      [
        onPath.has(node.id) ? pc.green(joined(head)) : joined(head),
        ...(full ? [] : [pc.dim(oneLine(node.text, 60))]),
      ].join('  '),
    );
    const children = tree.children.get(node.id) ?? [];
    if (full) {
      const bar = `  ${below}${children.length > 0 ? '│' : ' '} `;
      lines.push(indented(manyLines(node.text), bar));
      if (node.critique !== null) {
        lines.push(pc.dim(indented(`— ${manyLines(node.critique)}`, bar)));
      }
    }
    for (const [index, child] of children.entries()) {
      const last = index === children.length - 1;
      draw(drawnNode(child), `${below}${last ? '└─ ' : '├─ '}`, `${below}${last ? '   ' : '│  '}`);
    }
  };
  draw(drawnRoot(tree), '', '');
  return lines;
}

const joined = (parts: readonly string[]): string => parts.filter((part) => part !== '').join('  ');

function drawnRoot({ negative, refinement }: Tree): Drawn {
  const start = refinement?.path[0];
  const votes = negative ?? start ?? null;
  return {
    id: root,
    value: votes === null ? null : valueOf(votes),
    state: 'evaluated',
    votes: votes === null ? 'no longer kept' : votesText(votes),
    text: negative?.response ?? start?.text ?? '',
    critique: negative?.critique ?? start?.critique ?? null,
  };
}

const drawnNode = (node: SearchNode): Drawn => ({
  id: node.node_id,
  value: node.value,
  state: node.state,
  votes:
    node.equal_to === null
      ? node.votes.length === 0
        ? ''
        : votesText(count(node.votes)) + (node.rounds > 1 ? ` (${node.rounds} rounds)` : '')
      : `same text as ${oneLine(node.equal_to, 40)}`,
  text: node.text ?? node.answer,
  critique: node.critique,
});
