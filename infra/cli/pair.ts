import { Command } from 'commander';
import pc from 'picocolors';
import type { Check, PathNode, PreferencePair, Verdicts } from '../../schemas/records.ts';
import { fullId } from '../../processors/rules/ids.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { RunError } from '../errors.ts';
import { latestRow, rowIn } from '../codec/rows.ts';
import type { HomeView } from '../home/home.ts';
import { newestFirst } from '../log/scan.ts';
import { iterationOf } from '../runtime/headers.ts';
import { manyLines, oneLine } from '../text.ts';
import { renderPairDiff } from './diff.ts';
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
import { short } from './progress.ts';
import { homeFlag, placeOf, type PipelineFlags } from './flags.ts';
import { withView } from './pipeline.ts';
import { checkLines, decidedText, foundJson, outcomeOf, outcomeText, treeIds } from './view.ts';

interface Flags extends PipelineFlags {
  readonly iteration: string;
  readonly diff?: true;
  readonly full?: true;
  readonly json?: true;
}

export const pairCommand = (): Command =>
  new Command('pair')
    .summary('show a preference pair and where it comes from')
    .description(
      `Shows a pair: the instruction, the response that failed, the way to the refinement that passed, the models
and what it cost, and the two sides as one text with the words that changed. Without ID it is the latest one.`,
    )
    .argument('[id]', 'of the pair (iteration/instruction/tree), or of an instruction')
    .addOption(homeOption())
    .addOption(brokersOption())
    .addOption(registryOption())
    .addOption(configOption())
    .addOption(iterationOption())
    .option('--diff', 'only the two sides, as a word diff')
    .option('--full', 'critiques and turns in full')
    .addOption(pipelineOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('spar pair', 'spar pair 1/my-id/0 --full', 'spar pair my-id --iteration 2 --diff'),
    )
    .action(async (id: string | undefined, flags: Flags, command: Command) => {
      const iteration =
        command.getOptionValueSource('iteration') === 'cli' ? flags.iteration : null;
      await withView(flags, command, async (view) => {
        const pair =
          id === undefined
            ? await latestPair(view, iteration, flags)
            : await findPair(view, id, flags);
        const verdicts = await latestRow(
          view,
          topics.verdicts,
          fullId(pair.iteration, pair.instruction_id),
        );
        const shown = { pair, verdicts, checks: await checksIn(view, pair, verdicts) };
        await print(
          flags.json
            ? jsonLine(pairJson(shown))
            : flags.diff
              ? `${renderPairDiff(pair)}\n`
              : pairText(shown, flags.full ?? false),
        );
      });
    });

async function latestPair(
  view: HomeView,
  iteration: string | null,
  flags: Flags,
): Promise<PreferencePair> {
  for await (const record of newestFirst(view.log, nameOnLog(view.pipeline, topics.pairs))) {
    if (iteration !== null && iterationOf(record) !== iteration) continue;
    const pair = await rowIn(view, topics.pairs, record);
    if (pair) return pair;
  }
  throw new RunError(
    `there is no pair yet in ${placeOf(view)}: see how far it is with spar status${homeFlag(flags)}`,
  );
}

async function findPair(view: HomeView, id: string, flags: Flags): Promise<PreferencePair> {
  const ids = treeIds(id, flags.iteration);
  for (const key of ids) {
    const pair = await latestRow(view, topics.pairs, key);
    if (pair) return pair;
  }
  const outcome = await outcomeOf(view, ids);
  const what = oneLine(id, 80);
  if (!outcome) {
    throw new RunError(
      `there is no pair ${what}: spar tap preference-pairs${homeFlag(flags)} lists what there is`,
    );
  }
  throw new RunError(
    `${what} has no pair: ${oneLine(outcomeText(outcome))}` +
      (outcome.tree === null ? '' : ` (spar tree ${oneLine(outcome.id, 80)}${homeFlag(flags)})`),
  );
}

interface Shown {
  readonly pair: PreferencePair;
  /** On all responses; null if they are no longer kept. */
  readonly verdicts: Verdicts | null;
  /** What code found, by the node of the path; null where it is no longer kept. */
  readonly checks: ReadonlyMap<string, readonly Check[] | null>;
}

/** What code found is with the verdicts on the responses, and with the nodes of the tree. */
async function checksIn(
  view: HomeView,
  { id, path, rejected_index }: PreferencePair,
  verdicts: Verdicts | null,
): Promise<Shown['checks']> {
  const checks = new Map<string, readonly Check[] | null>();
  const of = async (node: string): Promise<readonly Check[] | null> => {
    const found = await latestRow(view, topics.nodes, `${id}/${node}`);
    const equalTo = found?.equal_to ?? null;
    if (equalTo === null) return found?.checks ?? null;
    // A text that was judged before has what was found then, be it of a node beside the path.
    return checks.get(equalTo) ?? (await of(equalTo));
  };
  const response = verdicts?.judged.find(({ index }) => index === rejected_index);
  for (const { node_id: node, parent_id: parent } of path) {
    checks.set(node, parent === null ? (response?.checks ?? null) : await of(node));
  }
  return checks;
}

/** The record, how many responses there were, and what code found on the way. */
const pairJson = ({ pair, verdicts, checks }: Shown): object => ({
  ...pair,
  path: pair.path.map((node) => ({ ...node, ...foundJson(checks.get(node.node_id) ?? null) })),
  responses: verdicts?.responses.length ?? null,
});

/** Everything about a pair for a person; without `full` long texts are cut. */
function pairText({ pair, verdicts, checks }: Shown, full: boolean): string {
  const label = (name: string) => `  ${pc.dim(name.padEnd(13))}`;
  const text = (value: string) =>
    full ? `\n${indented(manyLines(value))}` : ` ${oneLine(value, 100)}`;
  return [
    pc.bold(`Pair ${oneLine(pair.id, 200)}`),
    `${label('instruction')}${oneLine(pair.instruction_id, 80)} from ${oneLine(pair.source, 80)}`,
    ...pair.messages.map(
      ({ role, content }) => `${label('')}${pc.bold(oneLine(role, 20))}:${text(content)}`,
    ),
    ...pair.constraints.map(
      (constraint, index) =>
        `${label(index === 0 ? 'constraints' : '')}${oneLine(constraint.id, 80)} ${oneLine(constraint.arguments, 100)}`,
    ),
    `${label('sample')}${sampleText(pair, verdicts, checks.get(rootOf(pair)) ?? null)}`,
    ...pair.path.flatMap((node, index) => [
      `${label(index === 0 ? 'path' : '')}${nodeText(node, checks, node.node_id === pair.node_id)}`,
      ...checkLines(checks.get(node.node_id) ?? null, full).map(
        (line) => `${label('')}  ${pc.yellow(line)}`,
      ),
      `${label('')} ${pc.dim(text(node.critique))}`,
    ]),
    `${label('accepted')}value ${pair.chosen_value.toFixed(2)} ${pair.judge_by === 'code' ? 'reaches' : 'above'} the gate ${pair.gate}, ` +
      `at depth ${pair.depth}; ${counted(pair.evaluated, 'node')} judged, ${pair.dropped} dropped`,
    `${label('models')}actor ${oneLine(pair.actor_model, 80)}, judge ${oneLine(pair.judge_model, 80) || 'none'}, refiner ${oneLine(pair.refiner_model, 80)}`,
    `${label('prompts')}judge ${oneLine(pair.judge_prompt, 80)}, refine ${oneLine(pair.refine_prompt, 80)}; rules ${oneLine(pair.rules, 20)}`,
    `${label('asked')}${spendText(pair)}`,
    '',
    pc.bold('From the rejected response to the chosen one'),
    renderPairDiff(pair),
    '',
  ].join('\n');
}

const rootOf = ({ path }: PreferencePair): string => path[0]?.node_id ?? '';

function sampleText(
  pair: PreferencePair,
  verdicts: Verdicts | null,
  checks: readonly Check[] | null,
): string {
  const decided = decidedText({
    yes: pair.rejected_yes,
    no: pair.rejected_no,
    invalid: pair.rejected_invalid,
    judged_by: pair.path[0]?.judged_by ?? 'model',
    checks,
  });
  if (!verdicts) return `response ${pair.rejected_index + 1}: ${decided}`;
  const of = (verdict: string) => verdicts.judged.filter((one) => one.verdict === verdict).length;
  return (
    `response ${pair.rejected_index + 1} of ${verdicts.responses.length}` +
    `${verdicts.given ? ' (given)' : ''}: ${decided}; of all ${of('pass')} passed, ${of('fail')} failed, ${of('tie')} tied`
  );
}

const nodeText = (node: PathNode, all: Shown['checks'], accepted: boolean): string => {
  const decided = decidedText({ ...node, checks: all.get(node.node_id) ?? null });
  const line = `${oneLine(node.node_id, 40).padEnd(8)} ${node.value.toFixed(2)}  ${decided}`;
  return accepted ? pc.green(`${line}  ★ accepted`) : line;
};

const spendText = (pair: PreferencePair): string =>
  `${short(pair.calls)} calls for ${short(pair.generations)} texts, ` +
  `${short(pair.prompt_tokens)} prompt and ${short(pair.completion_tokens)} generated tokens` +
  (pair.tokens_estimated ? ' (estimated)' : '') +
  (pair.cost === null ? '' : `, cost ${pair.cost.toFixed(4)}`);
