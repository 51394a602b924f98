import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, onTestFinished, vi } from 'vitest';
import { settingsOf } from '../../infra/config/settings.ts';
import { openHome, type Home } from '../../infra/home/home.ts';
import { openIteration } from '../../infra/run/iteration.ts';
import { systemTime, type Time } from '../../infra/time.ts';
import { noSavings } from '../../processors/rules/savings.ts';
import { noSpend } from '../../processors/rules/spend.ts';
import type {
  DeadLetter,
  Instruction,
  Message,
  Negative,
  Outcome,
  PathNode,
  PreferencePair,
  Refinement,
  SearchNode,
  Savings,
  Spend,
  Verdicts,
  Vote,
} from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { nameOnLog, type Topic } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { configOf } from '../run/support.ts';

// Colours would depend on where the tests run; picocolors looks when it is first imported, which is after this.
vi.hoisted(() => {
  process.env['NO_COLOR'] = '1';
});

export interface Ran {
  readonly code: typeof process.exitCode;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line in this process, and hands back what it printed and how it would have ended. */
export async function spar(...args: readonly string[]): Promise<Ran> {
  const { main } = await import('../../infra/cli/main.ts');
  return captured(() => main(['node', 'spar', ...args]));
}

export async function captured(work: () => Promise<unknown>): Promise<Ran> {
  const streams = [process.stdout, process.stderr];
  const before = streams.flatMap((stream) => stream.listeners('error'));
  let [out, err] = ['', ''];
  const onOut = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const onErr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
  process.exitCode = 0;
  try {
    await work();
    return { code: process.exitCode, out, err };
  } finally {
    process.exitCode = 0;
    onOut.mockRestore();
    onErr.mockRestore();
    for (const stream of streams) {
      for (const listener of stream.listeners('error')) {
        if (!before.includes(listener)) stream.off('error', listener as () => void);
      }
    }
  }
}

/** A folder of its own, gone when the test is over. */
export async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'spar-cli-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

const startMs = Date.parse('2026-01-31T12:00:00Z');

/** A second passes whenever the log looks at the clock, so every record has a time of its own. */
function ticking(): Time {
  let now = startMs;
  return { ...systemTime, wall: () => (now += 1000) };
}

export const home = (at: string, partitions = 1): Promise<Home> =>
  openHome({ folder: at, pipeline: 'spar', partitions, time: ticking() });

export async function put<Row extends { readonly id: string }>(
  to: Home,
  topic: Topic<Row>,
  row: Row,
  options: {
    readonly partition?: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly value?: Uint8Array;
  } = {},
): Promise<void> {
  await to.log.append([
    {
      topic: nameOnLog('spar', topic),
      partition: options.partition ?? 0,
      key: row.id,
      headers: options.headers ?? { iteration: '1' },
      value: options.value ?? to.serde.encode(topic, row),
    },
  ]);
}

/** As if every stage had finished all that is there. */
export async function finishStages({ log }: Home, iteration = '1'): Promise<void> {
  for (const [stage, { from }] of Object.entries(dataflow)) {
    const topic = nameOnLog('spar', from);
    const group = from === topics.instructions ? `spar.${stage}.${iteration}` : `spar.${stage}`;
    const subscription = await log.subscribe(group, topic, {
      assigned: () => undefined,
      records: () => undefined,
      revoked: () => Promise.resolve(),
      failed: () => undefined,
    });
    for (const { partition, latest } of await log.ends(topic)) {
      await subscription.commit(partition, { outputs: [], position: latest, metadata: '' });
    }
    await subscription.close();
  }
}

export async function openFirstIteration({ log, serde }: Home, iteration = '1'): Promise<void> {
  const settings = settingsOf(configOf(), iteration, {
    actor: 'actor-1',
    judge: 'judge-1',
    refiner: 'refiner-1',
  });
  await openIteration(log, serde, 'spar', settings, ticking());
}

/** Four instructions of an iteration that is over: paired, exhausted, all passed, failed. */
export async function smallHome(at: string): Promise<void> {
  template ??= makeTemplate();
  await cp(await template, at, { recursive: true });
}

/** Made once: copying a home takes a tenth of the time. */
let template: Promise<string> | null = null;

afterAll(async () => {
  if (template) await rm(await template, { recursive: true, force: true });
});

async function makeTemplate(): Promise<string> {
  const at = await mkdtemp(join(tmpdir(), 'spar-cli-'));
  const written = await home(at);
  await openFirstIteration(written);
  for (const name of ['cat', 'dog', 'owl', 'yak']) {
    await put(written, topics.instructions, instruction(name));
  }
  await put(written, topics.verdicts, verdicts('cat'));
  await put(written, topics.negatives, negative('cat'));
  await put(written, topics.negatives, negative('dog'));
  for (const node of nodes('cat')) await put(written, topics.nodes, node);
  await put(written, topics.nodes, { ...searchNode('dog', 'r.0'), value: 0.4 });
  await put(written, topics.refinements, refinement('cat'));
  await put(written, topics.pairs, pair('cat'));
  await put(written, topics.outcomes, outcome('cat', 'paired'));
  await put(written, topics.outcomes, outcome('dog', 'exhausted'));
  await put(written, topics.outcomes, { ...outcome('owl', 'all-passed'), id: '1/owl', tree: null });
  await put(written, topics.outcomes, {
    ...outcome('yak', 'failed'),
    id: '1/yak',
    tree: null,
    cause: 'context',
  });
  await put(written, topics.deadLetters, deadLetter(written, 'yak'));
  written.journal.count('1', {
    'calls.sample': 4,
    'calls.judge': 20,
    'calls.refine': 6,
    'generations.sample': 20,
    'generations.judge': 100,
    'generations.refine': 6,
    'retries.429': 2,
    'tokens.prompt': 12_345,
    'tokens.completion': 6789,
  });
  await finishStages(written);
  await written.close();
  return at;
}

export const spend: Spend & Savings = {
  ...noSpend,
  ...noSavings,
  calls: 9,
  generations: 41,
  prompt_tokens: 900,
  completion_tokens: 400,
};

const says = (content: string): readonly Message[] => [{ role: 'user', content }];

const treeOf = (name: string) => ({
  id: `1/${name}/0`,
  iteration: '1',
  instruction_id: name,
  tree: 0,
  trees: 1,
  messages: says(`Write a line about a ${name}.`),
});

const lineage = {
  judge_model: 'judge-1',
  judge_prompt: 'j1',
  refiner_model: 'refiner-1',
  refine_prompt: 'r1',
};

export const instruction = (name: string): Instruction => ({
  id: name,
  messages: says(`Write a line about a ${name}.`),
  constraints: [],
  judge_by: null,
  source: 'in.jsonl',
  source_line: 1,
  extra: '{}',
  responses: [],
  added_at: startMs,
});

const byModel = { judged_by: 'model', checks: [] } as const;

const vote = (choice: Vote['vote']): Vote => ({
  vote: choice,
  critique: `It says ${choice}.`,
  reasoning: null,
  finish_reason: 'stop',
});

const votes = (yes: number, no: number, invalid = 0): readonly Vote[] => [
  ...Array.from({ length: yes }, () => vote('yes')),
  ...Array.from({ length: no }, () => vote('no')),
  ...Array.from({ length: invalid }, () => vote('invalid')),
];

export const verdicts = (name: string): Verdicts => ({
  ...spend,
  id: `1/${name}`,
  iteration: '1',
  instruction_id: name,
  messages: says(`Write a line about a ${name}.`),
  constraints: [],
  judge_by: null,
  source: 'in.jsonl',
  extra: '{}',
  responses: [0, 1, 2].map((index) => ({
    index,
    text: `response ${index}`,
    reasoning: null,
    finish_reason: 'stop',
  })),
  given: false,
  judged: [
    { index: 0, verdict: 'pass', critique: 'Good.', ...byModel, votes: votes(5, 0) },
    { index: 1, verdict: 'fail', critique: 'Too long.', ...byModel, votes: votes(1, 4) },
    { index: 2, verdict: 'tie', critique: null, ...byModel, votes: votes(2, 2, 1) },
  ],
  actor_model: 'actor-1',
  judge_model: 'judge-1',
  judge_prompt: 'j1',
});

export const negative = (name: string): Negative => ({
  ...treeOf(name),
  constraints: [],
  source: 'in.jsonl',
  extra: '{}',
  response_index: 1,
  response: `The ${name} sat on a very long mat.`,
  reasoning: null,
  yes: 1,
  no: 4,
  invalid: 0,
  critique: 'Too long.',
  judged_by: 'model',
  actor_model: 'actor-1',
  judge_model: 'judge-1',
  judge_prompt: 'j1',
});

export const searchNode = (name: string, id: string): SearchNode => ({
  ...treeOf(name),
  id: `1/${name}/0/${id}`,
  node_id: id,
  parent_id: id.slice(0, id.lastIndexOf('.')),
  depth: id.split('.').length - 1,
  child: Number(id.at(-1)),
  state: 'evaluated',
  text: `The ${name} sat ${id}.`,
  answer: `[[start]]The ${name} sat ${id}.[[end]]`,
  reasoning: null,
  refine_calls: 1,
  value: 0.4,
  votes: votes(2, 3),
  checks: [],
  rounds: 1,
  critique: `Critique of ${id}.`,
  judged_by: 'model',
  equal_to: null,
  ...lineage,
});

/** Two levels: a kept node, one without a text between its marks, an equal one, and the one that is accepted. */
const nodes = (name: string): readonly SearchNode[] => [
  searchNode(name, 'r.0'),
  {
    ...searchNode(name, 'r.1'),
    state: 'unparsed',
    text: null,
    answer: 'I do not know.',
    value: null,
    votes: [],
    critique: null,
  },
  {
    ...searchNode(name, 'r.2'),
    state: 'undecided',
    value: null,
    votes: votes(2, 2, 1),
    rounds: 3,
    critique: null,
  },
  { ...searchNode(name, 'r.0.0'), value: 0.4, votes: [], equal_to: 'r.0' },
  { ...searchNode(name, 'r.0.1'), value: 0.8, votes: votes(4, 1) },
];

const pathNode = (node_id: string, parent_id: string | null, change: Partial<PathNode>) => ({
  node_id,
  parent_id,
  depth: node_id.split('.').length - 1,
  text: `The cat sat ${node_id}.`,
  answer: null,
  value: 0.4,
  yes: 2,
  no: 3,
  invalid: 0,
  critique: `Critique of ${node_id}.`,
  judged_by: 'model' as const,
  ...change,
});

const path: readonly PathNode[] = [
  pathNode('r', null, { value: 0.2, yes: 1, no: 4, critique: 'Too long.' }),
  pathNode('r.0', 'r', { answer: 'I cut it. [[start]]The cat sat r.0.[[end]]' }),
  pathNode('r.0.1', 'r.0', {
    answer: 'I cut it again. [[start]]The cat sat.[[end]]',
    value: 0.8,
    yes: 4,
    no: 1,
  }),
];

export const refinement = (name: string): Refinement => ({
  ...treeOf(name),
  ...spend,
  node_id: 'r.0.1',
  depth: 2,
  text: `The ${name} sat.`,
  value: 0.8,
  gate: 0.5,
  judge_by: 'model',
  path,
  evaluated: 3,
  dropped: 2,
  ...lineage,
});

export const pair = (name: string): PreferencePair => ({
  ...treeOf(name),
  ...spend,
  constraints: [{ id: 'length_constraints:number_words', arguments: '{"num_words":3}' }],
  source: 'in.jsonl',
  extra: '{}',
  chosen: `The ${name} sat.`,
  rejected: `The ${name} sat on a very long mat.`,
  chosen_value: 0.8,
  chosen_yes: 4,
  chosen_no: 1,
  chosen_invalid: 0,
  rejected_index: 1,
  rejected_yes: 1,
  rejected_no: 4,
  rejected_invalid: 0,
  rejected_critique: 'Too long.',
  gate: 0.5,
  judge_by: 'model',
  node_id: 'r.0.1',
  depth: 2,
  path,
  evaluated: 3,
  dropped: 2,
  actor_model: 'actor-1',
  ...lineage,
  rules: '1',
});

export const outcome = (name: string, how: Outcome['outcome']): Outcome => ({
  ...spend,
  id: `1/${name}/0`,
  iteration: '1',
  instruction_id: name,
  tree: 0,
  trees: how === 'paired' || how === 'exhausted' ? 1 : 0,
  outcome: how,
  cause: null,
  revision: 0,
  evaluated: 3,
});

/** An instruction that the first stage gave up on. */
export const deadLetter = ({ serde }: Pick<Home, 'serde'>, name: string): DeadLetter => ({
  id: 'instructions/0/3',
  topic: 'instructions',
  partition: 0,
  offset: 3,
  key: name,
  headers: '{"iteration":"1"}',
  value: Buffer.from(serde.encode(topics.instructions, instruction(name))),
  stage: 'sample',
  iteration: '1',
  cause: 'context',
  error: 'the prompt is longer than the context',
  attempts: 1,
  revision: 0,
});
