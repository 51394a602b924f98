import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { noSavings } from '../../processors/rules/savings.ts';
import type { ExportRequest } from '../../infra/exports/export.ts';
import { defaultExportSettings } from '../../infra/exports/settings.ts';
import type { Log } from '../../infra/log/log.ts';
import { createMemoryLog } from '../../infra/log/memory.ts';
import { systemTime } from '../../infra/time.ts';
import type {
  Message,
  Outcome,
  PathNode,
  PreferencePair,
  Refinement,
  Removal,
  Responses,
  SearchNode,
  Verdicts,
  Vote,
} from '../../schemas/records.ts';
import { nameOnLog, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';

const spend = {
  ...noSavings,
  calls: 9,
  generations: 40,
  prompt_tokens: 900,
  completion_tokens: 400,
  tokens_estimated: false,
  cost: null,
};
const models = {
  actor_model: 'actor',
  judge_model: 'judge',
  judge_prompt: 'j1',
  refiner_model: 'refiner',
  refine_prompt: 'r1',
};
const actors = { actor: 'actor', judge: 'judge', refiner: 'refiner' };
const user = (content: string): Message => ({ role: 'user', content });

export const prompts = {
  judge: {
    template: 'Instruction: {{instruction}}\nResponse: {{response}}\nFinal Judgement?',
    hash: 'j1',
  },
  refine: { template: 'Refine it between [[start]] and [[end]].', hash: 'r1' },
};

export const pathNode = (node_id: string, parent_id: string | null, text: string): PathNode => ({
  node_id,
  parent_id,
  depth: parent_id === null ? 0 : 1,
  text,
  answer: parent_id === null ? null : `I mend it. [[start]]${text}[[end]]`,
  value: parent_id === null ? 0 : 0.8,
  yes: 4,
  no: 1,
  invalid: 0,
  critique: `critique of ${text}`,
  judged_by: 'model',
});

export function pair(name: string, changes: Partial<PreferencePair> = {}): PreferencePair {
  return {
    ...spend,
    ...models,
    id: `1/${name}/0`,
    iteration: '1',
    instruction_id: name,
    tree: 0,
    trees: 1,
    messages: [user(`instruction ${name}`)],
    constraints: [],
    source: 'in.jsonl',
    extra: '{}',
    chosen: `chosen ${name}`,
    rejected: `rejected ${name}`,
    chosen_value: 0.8,
    chosen_yes: 4,
    chosen_no: 1,
    chosen_invalid: 0,
    rejected_index: 2,
    rejected_yes: 0,
    rejected_no: 5,
    rejected_invalid: 0,
    rejected_critique: 'no',
    gate: 0.5,
    judge_by: 'model',
    node_id: 'r.0',
    depth: 1,
    path: [],
    evaluated: 3,
    dropped: 0,
    rules: '1',
    ...changes,
  };
}

export function refinement(name: string): Refinement {
  return {
    ...spend,
    id: `1/${name}/0`,
    iteration: '1',
    instruction_id: name,
    tree: 0,
    trees: 1,
    messages: [user(`instruction ${name}`)],
    node_id: 'r.0',
    depth: 1,
    text: `chosen ${name}`,
    value: 0.8,
    gate: 0.5,
    judge_by: 'model',
    path: [pathNode('r', null, `rejected ${name}`), pathNode('r.0', 'r', `chosen ${name}`)],
    evaluated: 3,
    dropped: 0,
    judge_model: 'judge',
    judge_prompt: 'j1',
    refiner_model: 'refiner',
    refine_prompt: 'r1',
  };
}

export function node(name: string, child: number, value: number | null): SearchNode {
  return {
    id: `1/${name}/0/r.${child}`,
    iteration: '1',
    instruction_id: name,
    tree: 0,
    trees: 1,
    messages: [user(`instruction ${name}`)],
    node_id: `r.${child}`,
    parent_id: 'r',
    depth: 1,
    child,
    state: value === null ? 'undecided' : 'evaluated',
    text: `text ${name} ${child}`,
    answer: `[[start]]text ${name} ${child}[[end]]`,
    reasoning: 'a secret thought',
    refine_calls: 1,
    value,
    checks: [],
    votes: [],
    rounds: 1,
    critique: value === null ? null : `node critique ${name} ${child}`,
    judged_by: 'model',
    equal_to: null,
    judge_model: 'judge',
    judge_prompt: 'j1',
    refiner_model: 'refiner',
    refine_prompt: 'r1',
  };
}

const vote = (choice: Vote['vote'], critique: string): Vote => ({
  vote: choice,
  critique,
  reasoning: 'a secret thought',
  finish_reason: 'stop',
});

/** Two responses of which the votes said both: the first passes, the second fails. */
export function verdicts(name: string): Verdicts {
  const judged = (index: number, verdict: 'pass' | 'fail') => ({
    index,
    verdict,
    critique: null,
    judged_by: 'model' as const,
    checks: [],
    votes: (['yes', 'no', verdict === 'pass' ? 'yes' : 'no'] as const).map((choice, at) =>
      vote(choice, `vote ${at} on ${name} ${index}`),
    ),
  });
  return {
    ...spend,
    id: `1/${name}`,
    iteration: '1',
    instruction_id: name,
    messages: [user(`instruction ${name}`)],
    constraints: [],
    judge_by: null,
    source: 'in.jsonl',
    extra: '{}',
    responses: [0, 1].map((index) => ({
      index,
      text: `response ${index} to ${name}`,
      reasoning: 'a secret thought',
      finish_reason: 'stop',
    })),
    given: false,
    judged: [judged(0, 'pass'), judged(1, 'fail')],
    actor_model: 'actor',
    judge_model: 'judge',
    judge_prompt: 'j1',
  };
}

export function responses(name: string, finishReasons: readonly string[]): Responses {
  return {
    ...spend,
    id: `1/${name}`,
    iteration: '1',
    instruction_id: name,
    messages: [user(`instruction ${name}`)],
    constraints: [],
    judge_by: null,
    source: 'in.jsonl',
    extra: '{}',
    responses: finishReasons.map((finish_reason, index) => ({
      index,
      text: `response ${index} to ${name}`,
      reasoning: null,
      finish_reason,
    })),
    given: false,
    actor_model: 'actor',
  };
}
/** How the tree of an instruction ended. */
export const outcome = (name: string, changes: Partial<Outcome> = {}): Outcome => ({
  ...spend,
  id: `1/${name}/0`,
  iteration: '1',
  instruction_id: name,
  tree: 0,
  trees: 1,
  outcome: 'paired',
  cause: null,
  revision: 0,
  evaluated: 3,
  ...changes,
});

export interface Written {
  readonly outcomes: readonly Outcome[];
  readonly pairs: readonly PreferencePair[];
  readonly refinements: readonly Refinement[];
  readonly nodes: readonly SearchNode[];
  readonly verdicts: readonly Verdicts[];
  readonly responses?: readonly Responses[];
  readonly removals?: readonly Removal[];
}

/** A small run's records: every instruction has an outcome, a pair, a refinement, four nodes and two judged responses. */
export const runOf = (names: readonly string[]): Written => ({
  outcomes: names.map((name) => outcome(name)),
  pairs: names.map((name) => pair(name)),
  refinements: names.map((name) => refinement(name)),
  // One after the other by child, so that the nodes of a tree are far apart.
  nodes: [0.6, 0.8, 0.4, null].flatMap((value, child) =>
    names.map((name) => node(name, child, value)),
  ),
  verdicts: names.map((name) => verdicts(name)),
});

export const encode = (record: unknown): Uint8Array => Buffer.from(JSON.stringify(record));
export const decode = (_schema: string, bytes: Uint8Array): unknown =>
  JSON.parse(Buffer.from(bytes).toString());

/** A log in memory with these records, each to the partition that `partitionOf` names. */
export async function logOf(
  written: Partial<Written>,
  partitions = 1,
  partitionOf: (index: number) => number = () => 0,
): Promise<Log> {
  const log = createMemoryLog({ topics: logTopics, partitions, time: systemTime });
  await fill(log, written, partitionOf);
  return log;
}

/** All topics, as logs are opened with them. */
export const logTopics = Object.values(topics).map((topic) => ({
  name: nameOnLog('spar', topic),
  keyed: topic.keyed,
}));

export async function fill(
  log: Log,
  written: Partial<Written>,
  partitionOf: (index: number) => number = () => 0,
): Promise<void> {
  const append = async (topic: TopicInfo, rows: readonly { readonly id: string }[] = []) => {
    for (const [index, row] of rows.entries()) {
      await log.append([
        {
          topic: nameOnLog('spar', topic),
          partition: partitionOf(index) % log.partitions,
          key: row.id,
          headers: {},
          value: encode(row),
        },
      ]);
    }
  };
  await append(topics.outcomes, written.outcomes);
  await append(topics.pairs, written.pairs);
  await append(topics.refinements, written.refinements);
  await append(topics.nodes, written.nodes);
  await append(topics.verdicts, written.verdicts);
  await append(topics.responses, written.responses);
  await append(topics.removals, written.removals);
}

export const request = (log: Log, folder: string): ExportRequest => ({
  log,
  decode,
  pipeline: 'spar',
  iterations: [{ id: '1', seed: 7, models: actors, prompts }],
  seed: 7,
  complete: true,
  folder,
  settings: defaultExportSettings,
});

/** Every file under a folder by its path, with its text and when it was last written. */
export async function filesIn(
  folder: string,
): Promise<Readonly<Record<string, { readonly text: string; readonly changed: number }>>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  const read = files.sort().map(async (file) => {
    const { mtimeMs, ino } = await stat(file);
    return [
      file.slice(folder.length + 1),
      { text: await readFile(file, 'utf8'), changed: mtimeMs + ino },
    ] as const;
  });
  return Object.fromEntries(await Promise.all(read));
}

export const rowsOf = (text: string): Readonly<Record<string, unknown>>[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
