import { Command } from 'commander';
import pc from 'picocolors';
import { fullId, partsOf } from '../../processors/rules/ids.ts';
import { decidedByCode, judgeOf } from '../../processors/rules/code.ts';
import { count, valueOf } from '../../processors/rules/vote.ts';
import type { Settings } from '../../processors/settings.ts';
import type {
  Check,
  Negative,
  Outcome,
  Refinement,
  SearchNode,
  Verdicts,
} from '../../schemas/records.ts';
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
import { checkLines, decidedText, foundJson, outcomeOf, outcomeText, treeIds } from './view.ts';

interface Flags extends PipelineFlags {
  readonly iteration: string;
  readonly full?: true;
  readonly json?: true;
}

export const treeCommand = (): Command =>
  new Command('tree')
    .summary('draw a search tree')
    .description(
      `Draws a tree: the failed response at its root, every refinement that was judged with its value and its
votes, or what code found in it, and the accepted path. Without ID it is the latest tree that was accepted.`,
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
  /** What code found in the failed response, and its value; null if they are no longer kept. */
  readonly root: { readonly checks: readonly Check[] | null; readonly value: number | null };
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
  const [iteration = '', instruction = ''] = partsOf(id);
  const manifest = await findIteration(view.log, view.serde, view.pipeline, iteration);
  const settings = manifest && settingsIn(manifest);
  const negative = await latestRow(view, topics.negatives, id);
  const refinement = await latestRow(view, topics.refinements, id);
  const verdicts =
    negative && (await latestRow(view, topics.verdicts, fullId(iteration, instruction)));
  return {
    id,
    negative,
    root: rootOf(negative, verdicts, refinement, settings),
    refinement,
    outcome: await latestRow(view, topics.outcomes, id),
    children: settings ? await childrenIn(view, id, settings) : new Map(),
  };
}

/** A negative has the votes that it failed by; what code found is with the verdicts on all responses. */
function rootOf(
  negative: Negative | null,
  verdicts: Verdicts | null,
  refinement: Refinement | null,
  settings: Settings | null,
): Tree['root'] {
  const start = refinement?.path[0] ?? null;
  const judged = verdicts?.judged.find(({ index }) => index === negative?.response_index);
  const checks = judged?.checks ?? null;
  const byCode =
    negative?.judged_by === 'code' && verdicts && checks && settings
      ? decidedByCode(checks, negative.constraints, judgeOf(verdicts, settings), settings.search)
      : null;
  return { checks, value: start?.value ?? byCode?.value ?? (negative && valueOf(negative)) };
}

/** Nodes are looked up one by one, from the root down: a tree is small, and the topic may be huge. */
async function childrenIn(
  view: HomeView,
  id: string,
  { search: { branch, max_nodes: nodesMax } }: Settings,
): Promise<Tree['children']> {
  const children = new Map<string, SearchNode[]>();
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

function treeJson(tree: Tree): object {
  const { id, negative, refinement, outcome } = tree;
  const nodes = [...tree.children.values()].flat();
  const checks = new Map<string, readonly Check[] | null>([
    [root, tree.root.checks],
    ...nodes.map((node) => [node.node_id, node.checks] as const),
  ]);
  return {
    id,
    outcome: outcome?.outcome ?? null,
    accepted: refinement?.node_id ?? null,
    path: refinement?.path.map(({ node_id }) => node_id) ?? [],
    root: negative && { ...negative, value: tree.root.value, ...foundJson(tree.root.checks) },
    // A node whose text was judged before has what was found then.
    nodes: nodes.map((node) => ({
      ...node,
      ...foundJson(checks.get(node.equal_to ?? node.node_id) ?? null),
    })),
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
  /** Its votes, or what code found; or where to look for them. */
  readonly decided: string;
  /** Of those that are shown under it. */
  readonly checks: readonly Check[] | null;
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
    const head = [`${mark} ${before}${oneLine(node.id, 200)}`, oneLine(value, 20), node.decided];
    lines.push(
      [
        onPath.has(node.id) ? pc.green(joined(head)) : joined(head),
        ...(full ? [] : [pc.dim(oneLine(node.text, 60))]),
      ].join('  '),
    );
    const children = tree.children.get(node.id) ?? [];
    const bar = `  ${below}${children.length > 0 ? '│' : ' '} `;
    lines.push(...checkLines(node.checks, full).map((line) => pc.yellow(`${bar}${line}`)));
    if (full) {
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

function drawnRoot({ negative, refinement, root: { checks, value } }: Tree): Drawn {
  const start = refinement?.path[0];
  const judged = negative ?? start ?? null;
  return {
    id: root,
    value,
    state: 'evaluated',
    decided: judged === null ? 'no longer kept' : decidedText({ ...judged, checks }),
    checks,
    text: negative?.response ?? start?.text ?? '',
    critique: negative?.critique ?? start?.critique ?? null,
  };
}

const drawnNode = (node: SearchNode): Drawn => ({
  id: node.node_id,
  value: node.value,
  state: node.state,
  decided: decidedNode(node),
  checks: node.checks,
  text: node.text ?? node.answer,
  critique: node.critique,
});

function decidedNode(node: SearchNode): string {
  if (node.equal_to !== null) return `same text as ${oneLine(node.equal_to, 40)}`;
  if (node.judged_by === 'model' && node.votes.length === 0) return '';
  return (
    decidedText({ ...count(node.votes), ...node }) +
    (node.rounds > 1 ? ` (${node.rounds} rounds)` : '')
  );
}
