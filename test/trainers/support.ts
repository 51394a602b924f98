import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { startSimulator } from '../../infra/simulator/server.ts';
import type { Message } from '../../schemas/records.ts';
import { spar } from '../whole/support.ts';
import type { Trainer } from './environments.ts';

const root = join(import.meta.dirname, '../..');
const example = join(root, 'examples/instructions.jsonl');
const execute = promisify(execFile);

/** The longest takes half a minute alone on two cores; others may be busy on them. */
const commandMsMax = 5 * 60_000;

export const kinds = ['preference', 'refiner_sft'] as const;
export const splits = ['train', 'test'] as const;
export type Kind = (typeof kinds)[number];
export type Split = (typeof splits)[number];

/** What a trainer learns from a row: the text that is given, and each text that is learnt after it. */
export interface Seen {
  readonly given: string;
  readonly learnt: readonly string[];
}

export type Loaded = Readonly<Record<Kind, Readonly<Record<Split, readonly Seen[]>>>>;

/** A warning of any library: who said what. */
export interface Warning {
  readonly from: string;
  readonly text: string;
}

/** A trainer with a tiny model, and files to learn from that `spar run` has made. */
export interface Bench {
  readonly folder: string;
  readonly out: string;
  readonly model: string;
  /** Rows of each file, by its path, as the manifest has them. */
  readonly rowsInManifest: ReadonlyMap<string, number>;
  /** What `<script>.py` writes, given these arguments and the name of its report. */
  loaded(
    script: string,
    args: readonly string[],
    cwd?: string,
  ): Promise<{ readonly report: Loaded; readonly warnings: readonly Warning[] }>;
  /** A command of the trainer's environment, and the warnings of all that it started. */
  run(command: string, args: readonly string[], cwd?: string): Promise<readonly Warning[]>;
  close(): Promise<void>;
}

/** Makes an export of the examples against the simulator, and a tiny model whose tokenizer knows its texts. */
export async function benchOf(trainer: Trainer): Promise<Bench> {
  const bin = inject('trainers')[trainer];
  const folder = await mkdtemp(join(tmpdir(), 'spar-trainers-'));
  const [out, model] = [join(folder, 'out'), join(folder, 'model')];
  await exportTo(folder, out);

  let runs = 0;
  const run: Bench['run'] = async (command, args, cwd = folder) => {
    const noted = join(folder, `warnings-${runs++}.jsonl`);
    await execute(join(bin, command), args, {
      cwd,
      env: {
        PATH: `${bin}:${process.env['PATH'] ?? ''}`,
        // Nothing of the user's is read or written, and nothing is asked of the network.
        HOME: folder,
        HF_HUB_OFFLINE: '1',
        // A GPU that may be there is not what we are after.
        CUDA_VISIBLE_DEVICES: '',
        // Two threads for a model this small only wait for each other: on a busy machine fifty times as long.
        OMP_NUM_THREADS: '1',
        PYTHONPATH: join(import.meta.dirname, 'notes'),
        // Nothing is left beside the scripts.
        PYTHONDONTWRITEBYTECODE: '1',
        WARNINGS_NOTED: noted,
      },
      timeout: commandMsMax,
      maxBuffer: 64 * 1024 * 1024,
    });
    return existsSync(noted) ? (rowsIn(await readFile(noted, 'utf8')) as readonly Warning[]) : [];
  };
  const script = (name: string): string => join(import.meta.dirname, `${name}.py`);
  await run('python', [
    script('model'),
    model,
    ...kinds.map((kind) => join(out, 'llamafactory', `${kind}.jsonl`)),
  ]);

  const manifest = JSON.parse(await readFile(join(out, 'manifest.json'), 'utf8')) as {
    readonly files: readonly { readonly path: string; readonly rows: number | null }[];
  };
  return {
    folder,
    out,
    model,
    rowsInManifest: new Map(manifest.files.map(({ path, rows }) => [path, rows ?? 0])),
    run,
    loaded: async (name, args, cwd) => {
      const report = join(folder, `${name}.json`);
      const warnings = await run('python', [script(name), ...args, report], cwd);
      return { warnings, report: JSON.parse(await readFile(report, 'utf8')) as Loaded };
    },
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

const formats = ['llamafactory', 'trl', 'openrlhf', 'axolotl'];

/** A real run of the example instructions, a fifth of which go to the test files. */
async function exportTo(folder: string, out: string): Promise<void> {
  const configuration = join(folder, 'spar.yaml');
  await writeFile(
    configuration,
    `export:\n  test_share: 0.2\n  formats: [${formats.join(', ')}]\n`,
  );
  const server = await startSimulator({});
  try {
    const where = ['--home', join(folder, 'home'), '--out', out, '--config', configuration];
    const model = ['--model-url', server.url, '--model', 'simulated'];
    const { code, stderr } = await spar(['run', example, ...where, ...model]).ended;
    if (code !== 0) throw new Error(`spar run ended with ${code ?? 'no code'}: ${stderr}`);
  } finally {
    await server.close();
  }
}

const rowsIn = (text: string): readonly unknown[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);

/** What a trainer should see of the rows that were written for TRL. */
export async function writtenForTrl(
  out: string,
  kind: Kind,
  split: Split,
): Promise<readonly Seen[]> {
  const rows = rowsIn(await readFile(join(out, 'trl', kind, `${split}.jsonl`), 'utf8'));
  return (rows as readonly TrlRow[]).map(({ prompt, chosen, rejected, completion }) =>
    kind === 'preference' ? seen(prompt, [...chosen, ...rejected]) : seen(prompt, completion),
  );
}

interface TrlRow {
  readonly prompt: readonly Message[];
  readonly chosen: readonly Message[];
  readonly rejected: readonly Message[];
  readonly completion: readonly Message[];
}

/** The same of those for LLaMA-Factory: of a conversation, the last turn is learnt. */
export async function writtenForLlamaFactory(
  out: string,
  kind: Kind,
  split: Split,
): Promise<readonly Seen[]> {
  const rows = rowsIn(await readFile(join(out, llamaFactoryFile(kind, split)), 'utf8'));
  return (rows as readonly SharegptRow[]).map(({ conversations, chosen, rejected }) =>
    kind === 'preference'
      ? seen(conversations, [chosen, rejected])
      : seen(conversations.slice(0, -1), conversations.slice(-1)),
  );
}

interface SharegptRow {
  readonly conversations: readonly Message[];
  readonly chosen: Message;
  readonly rejected: Message;
}

export const llamaFactoryFile = (kind: Kind, split: Split): string =>
  `llamafactory/${kind}${split === 'train' ? '' : '_test'}.jsonl`;

/**
 * Given is the prompt up to where the assistant's turn begins, learnt are answers with their end. Both as `llama3`
 * renders them, the template that our configurations name unless told otherwise.
 */
const seen = (prompt: readonly Message[], answers: readonly Message[]): Seen => ({
  given: `<|begin_of_text|>${prompt.map(turn).join('')}${header('assistant')}`,
  learnt: answers.map(({ content }) => ended(content)),
});

const turn = ({ role, content }: Message): string => `${header(role)}${ended(content)}`;
const header = (role: string): string => `<|start_header_id|>${role}<|end_header_id|>\n\n`;
const ended = (content: string): string => `${content}<|eot_id|>`;

/** The words of the one command in README that has these, from where they stand. */
export async function inReadme(start: string): Promise<readonly string[]> {
  const text = await readFile(join(root, 'README.md'), 'utf8');
  const found = [...text.matchAll(/`([^`\n]+)`/g)]
    .map(([, code = '']) => code)
    .filter((code) => code.includes(start));
  const [command] = found;
  if (command === undefined || found.length > 1) {
    throw new Error(`README should have "${start}" once, not ${found.length} times`);
  }
  return command.slice(command.indexOf(start)).split(' ');
}

/** What a trainer wrote down of each of its steps, and of each evaluation. */
export async function logged(folder: string): Promise<Logged> {
  const text = await readFile(join(folder, 'trainer_state.json'), 'utf8');
  const { log_history: history } = JSON.parse(text) as { readonly log_history: readonly Entry[] };
  return {
    steps: history.filter((entry) => 'loss' in entry),
    evaluations: history.filter((entry) => 'eval_loss' in entry),
  };
}

interface Logged {
  readonly steps: readonly Entry[];
  readonly evaluations: readonly Entry[];
}

type Entry = Readonly<Record<string, number>>;
