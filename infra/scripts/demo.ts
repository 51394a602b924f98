/**
 * `npm run demo`: a whole run against the simulated model server, explained. It takes about 20 seconds and needs no
 * model, no key and no network. Its files go to `.spar-demo/`, or to the folder named as the argument.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import pc from 'picocolors';
import type { PreferencePair } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { main } from '../cli/main.ts';
import { indented, print } from '../cli/output.ts';
import { viewHome } from '../home/home.ts';
import { systemTime } from '../time.ts';
import { rowIn } from '../codec/rows.ts';
import { newestFirst } from '../log/scan.ts';
import { startSimulator } from '../simulator/server.ts';
import type { SimulatorSettings } from '../simulator/settings.ts';
import { manyLines } from '../text.ts';

/** As slow as a small model on one GPU seems to be, so that there is something to watch. */
const model: Partial<SimulatorSettings> = {
  slots: 64,
  latencyMs: 30,
  decodeMsPerToken: 2.5,
  // Fewer refinements pass than by default, so that trees grow deep enough to be seen searching.
  refineRate: 0.25,
};

// Two and a half times the slots: a call with five choices holds its places until the slowest one ends.
const inFlight = 160;

const instructions = 'examples/instructions.jsonl';
const pipeline = 'spar';

// Paths that are shown can be copied: they start where npm starts its scripts.
process.chdir(join(import.meta.dirname, '../..'));
const folder = process.argv[2] ?? '.spar-demo';
const [home, out] = [join(folder, 'home'), join(folder, 'out')];

async function demo(): Promise<void> {
  for (const old of [home, out]) rmSync(old, { recursive: true, force: true });
  await print(introduction());
  const simulator = await startSimulator(model);
  try {
    const endpoint = ['--model-url', simulator.url, '--model', 'simulated'];
    const places = ['--home', home, '--out', out, '--pipeline', pipeline, '--seed', '0'];
    const limit = ['--max-in-flight', String(inFlight)];
    // Only what may be typed is shown; the rest keeps the demo the same whatever the environment sets.
    await print(command(['run', instructions, '--home', home, '--out', out, ...endpoint]));
    await spar(['run', instructions, ...places, ...endpoint, ...limit]);
  } finally {
    await simulator.close();
  }
  if (process.exitCode !== undefined && process.exitCode !== 0) {
    await print(`\n${pc.yellow('The demo stopped early.')} npm run demo begins again.\n`);
    return;
  }
  const shown = await instructive();
  if (shown === null) throw new Error('the demo made no pair, which its seed rules out');
  const look = ['--home', home];
  await print(
    heading(
      'What the judge says of a response that fails',
      `${shown.rejected_no} of its votes on this one end like this. Every vote is kept, with its critique:`,
    ) + `\n${indented(manyLines(shown.rejected_critique))}\n`,
  );
  await print(
    heading(
      'The pair that came of it',
      `The way to the refinement that passed stands under "path", and below it both sides as one text: the words that
were taken out, and those put in instead. The two sides differ where it matters, and hardly anywhere else.`,
    ) + command(['pair', shown.id, ...look]),
  );
  await spar(['pair', shown.id, ...look, '--pipeline', pipeline]);
  await print(
    heading(
      'The tree that was searched for it',
      `From the failed response downwards: each line is a refinement with its value, the share of yes among its votes.
Breadth-first by the paper's numbers: 3 children a node, the best 2 of a level are refined further, 3 levels at most.`,
    ) + command(['tree', shown.id, ...look]),
  );
  await spar(['tree', shown.id, ...look, '--pipeline', pipeline]);
  await print(next());
}

/** The command in this process, which can be called again: `main` builds its parser anew each time. */
async function spar(args: readonly string[]): Promise<void> {
  await print('\n');
  await main([process.execPath, 'spar', ...args]);
}

/**
 * A pair whose tree shows a search and fits on a screen: two levels, with a first step that was better but not yet
 * good enough. Always the same one, whatever came in last.
 */
async function instructive(): Promise<PreferencePair | null> {
  const view = await viewHome({ folder: home, pipeline, time: systemTime });
  const records = newestFirst(view.log, nameOnLog(pipeline, topics.pairs));
  const rows = await Array.fromAsync(records, (record) => rowIn(view, topics.pairs, record));
  const pairs = rows.filter((row) => row !== null);
  await view.close();
  const [first] = pairs.toSorted(
    (one, other) =>
      Number(other.depth === 2) - Number(one.depth === 2) ||
      firstStep(other) - firstStep(one) ||
      one.evaluated - other.evaluated ||
      sizeOf(one) - sizeOf(other) ||
      (one.id < other.id ? -1 : 1),
  );
  return first ?? null;
}

const firstStep = ({ path }: PreferencePair): number => path[1]?.value ?? 0;

const sizeOf = ({ messages, chosen }: PreferencePair): number =>
  chosen.length + messages.reduce((sum, { content }) => sum + content.length, 0);

const introduction = (): string => `
${pc.bold('SPaR: preference pairs for instruction following, from the model itself')} ${pc.dim('(arXiv 2412.11605)')}

  1. ${pc.bold('sample')}  five responses to an instruction
  2. ${pc.bold('judge')}   each of them by five votes: does it meet every constraint?
  3. ${pc.bold('refine')}  a failed one by tree search: rewrite it, judge the rewrites, go on with the best
  4. ${pc.bold('pair')}    the first rewrite that passes is "chosen", the failure that it started from "rejected"

A model trained on such pairs learns what made the difference, since little else differs.
Here 52 instructions go through all of it. The model is simulated, so its texts are silly and cost nothing:
a failing response says itself what is wrong with it.
`;

const next = (): string =>
  heading(
    'What next',
    `The training files are in ${pc.bold(out)}: llamafactory/ and trl/, ready for those trainers.`,
  ) +
  [
    'Your own model, on any OpenAI-compatible server such as vLLM or SGLang:',
    command(['run', instructions, '--model-url', 'http://localhost:8000/v1', '--model', 'NAME']),
    'Stop that whenever you like: the same command goes on, and nothing is paid for twice.',
    '',
    'Every step is a topic that can be read; this prints all pairs of the demo:',
    command(['tap', 'preference-pairs', '--home', home]),
  ].join('\n');

const heading = (title: string, text: string): string => `\n${pc.bold(pc.cyan(title))}\n${text}\n`;

/** How it is typed in a checkout, where no `spar` is installed. */
const command = (args: readonly string[]): string =>
  `\n  ${pc.dim('$')} npm run --silent spar -- ${args.join(' ')}\n`;

// Last, since what is above must exist when it starts.
await demo();
