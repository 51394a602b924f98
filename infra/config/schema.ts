import { z } from 'zod';
import { faithful, lean } from '../../processors/settings.ts';
import {
  defaultExportSettings as exports,
  exportFormats,
  exportSets,
} from '../exports/settings.ts';
import { kafkaSection, registrySection } from './cluster-schema.ts';
import { gatesSection } from './gates-schema.ts';

/**
 * The configuration file, checked. Semantic settings decide which pairs come out and are fixed when an iteration
 * opens; everything under `models` (but `version`), `budget`, `limits`, `retries` and `export` may change at any restart.
 */
const sampling = (defaults: {
  readonly temperature: number;
  readonly top_p: number;
  readonly max_tokens: number;
  readonly stop: readonly string[];
}) => ({
  temperature: z
    .number()
    .min(0)
    .max(5)
    .default(defaults.temperature)
    .describe('How far draws may stray from the likeliest text.'),
  top_p: z
    .number()
    .gt(0)
    .max(1)
    .default(defaults.top_p)
    .describe('Share of the likeliest tokens that are drawn from.'),
  max_tokens: z.int().min(1).default(defaults.max_tokens).describe('Length of an answer at most.'),
  stop: z
    .array(z.string().min(1))
    .max(16)
    .default([...defaults.stop])
    .describe('Texts at which an answer ends.'),
});

/** 24 days: a timer holds 2^31 ms, and would take a longer wait for one of a millisecond. */
const waitMsMax = 24 * 24 * 60 * 60 * 1000;
const milliseconds = (least: number) =>
  z
    .int()
    .min(least)
    .max(waitMsMax, `at most ${waitMsMax} ms, which is 24 days: no timer waits longer`);

const url = z
  .string()
  .regex(
    /^https?:\/\/[^\s@]+$/,
    'expected a URL such as http://localhost:8000/v1, without a user or key in it',
  );

const endpoint = z.strictObject({
  url: z
    .union([url, z.array(url).min(1).max(64)])
    .optional()
    .describe(
      'Where the server is, up to and including /v1; several for replicas of the same model.',
    ),
  model: z.string().min(1).optional().describe('The name that the server knows the model by.'),
  version: z
    .string()
    .min(1)
    .optional()
    .describe(
      'What records call the model; its name unless said otherwise. Fixed for an iteration.',
    ),
  api_key_env: z.string().min(1).optional().describe('Environment variable that holds the key.'),
  api_key_file: z.string().min(1).optional().describe('File that holds the key.'),
  max_in_flight: z
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe('Generations in flight at most; `limits.max_in_flight` unless given.'),
  max_choices: z
    .int()
    .min(1)
    .max(1024)
    .optional()
    .describe(
      'Choices asked for in one request at most; as many as there are to ask for unless given.',
    ),
  deadline_ms: milliseconds(1)
    .optional()
    .describe('How long one call may take; `limits.deadline_ms` unless given.'),
  context_tokens: z
    .int()
    .min(1)
    .optional()
    .describe("The model's context; asked from the server unless given."),
  extra_body: z
    .record(z.string(), z.unknown())
    .optional()
    .describe('Merged into every request, such as top_k.'),
  price: z
    .strictObject({
      prompt: z.number().min(0).describe('Of a million prompt tokens.'),
      completion: z.number().min(0).describe('Of a million generated tokens.'),
    })
    .optional()
    .describe('Per million tokens, in your currency.'),
});

export const configSchema = z.strictObject({
  pipeline: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/)
    .default('spar')
    .describe('First part of every topic name.'),
  mode: z
    .enum(['faithful', 'lean'])
    .default('faithful')
    .describe(
      'Which defaults the settings below have: those of the paper and its code, or some that ask for fewer tokens (docs/lean.md).',
    ),
  seed: z.int().min(0).default(faithful.seed).describe('Decides every random choice.'),
  models: z
    .strictObject({
      default: endpoint.prefault({}).describe('For every role that does not say otherwise.'),
      actor: endpoint
        .prefault({})
        .describe('In place of `default` for whoever writes the responses.'),
      judge: endpoint
        .prefault({})
        .describe('In place of `default` for whoever votes; not needed where code judges.'),
      refiner: endpoint.prefault({}).describe('In place of `default` for whoever refines.'),
    })
    .prefault({}),
  sample: z
    .strictObject({
      responses: z
        .int()
        .min(1)
        .max(1024)
        .default(faithful.sample.responses)
        .describe('Responses per instruction.'),
      first: z
        .int()
        .min(1)
        .max(1024)
        .nullable()
        .default(faithful.sample.first)
        .describe(
          'So many of them first, the others only while too few have failed; null for all at once. Only with `judge.lazy`. Lean: `1`.',
        ),
      ...sampling(faithful.sample),
    })
    .prefault({}),
  judge: z
    .strictObject({
      by: z
        .enum(['model', 'code', 'both'])
        .default(faithful.judge.by)
        .describe(
          'Who judges, where the instruction has no `judge_by`: the model by votes; code by the constraints that it can check (an instruction without any fails); or both, code with a veto and votes for the rest (docs/constraints.md).',
        ),
      votes: z
        .int()
        .min(1)
        .max(1024)
        .default(faithful.judge.votes)
        .describe('Votes on a response, and on a node in each round.'),
      first_votes: z
        .int()
        .min(1)
        .max(1024)
        .nullable()
        .default(faithful.judge.first_votes)
        .describe(
          'So many of the votes first, the others only unless these decide; null for all at once. Lean: `3`.',
        ),
      lazy: z
        .boolean()
        .default(faithful.judge.lazy)
        .describe(
          'Judge the responses in the order of chance, until as many have failed as will get a tree. Lean: `true`.',
        ),
      parser: z
        .enum(['faithful', 'strict'])
        .default(faithful.judge.parser)
        .describe(
          'Read a verdict as the reference does, or only from a line that is nothing else. Lean: `strict`.',
        ),
      neutralise: z
        .boolean()
        .default(faithful.judge.neutralise)
        .describe(
          'Show texts to the judge without what a verdict, a mark or a role is known by. Lean: `true`.',
        ),
      rounds: z
        .int()
        .min(1)
        .max(100)
        .default(faithful.judge.rounds)
        .describe('Rounds at most for a node whose votes tie.'),
      ...sampling(faithful.judge),
      stop_in_tree: z
        .array(z.string().min(1))
        .max(16)
        .default([...faithful.judge.stop_in_tree])
        .describe('In place of `stop` for the votes within a tree.'),
    })
    .prefault({}),
  refine: z
    .strictObject({
      tries: z
        .int()
        .min(1)
        .max(100)
        .default(faithful.refine.tries)
        .describe('Tries of a child; an answer with nothing between its marks ends one.'),
      calls_per_try: z
        .int()
        .min(1)
        .max(100)
        .default(faithful.refine.calls_per_try)
        .describe('Calls of a try; an answer without `[[start]]` uses one up.'),
      ...sampling(faithful.refine),
    })
    .prefault({}),
  search: z
    .strictObject({
      strategy: z
        .enum(['breadth-first', 'depth-first'])
        .default(faithful.search.strategy)
        .describe('Refine a whole level at once, or a node and then its best child.'),
      branch: z
        .int()
        .min(1)
        .max(100)
        .default(faithful.search.branch)
        .describe('Refinements of each node.'),
      keep: z
        .int()
        .min(1)
        .max(100)
        .default(faithful.search.keep)
        .describe(
          'Nodes that are refined further: of a level, or of one node, never more than `branch`.',
        ),
      depth: z
        .int()
        .min(1)
        .max(100)
        .default(faithful.search.depth)
        .describe('Levels of refinements at most.'),
      gate: z
        .number()
        .min(0)
        .lt(1)
        .default(faithful.search.gate)
        .describe('A node is accepted if its share of yes is greater.'),
      code_gate: z
        .number()
        .gt(0)
        .max(1)
        .default(faithful.search.code_gate)
        .describe(
          'Where code alone judges: a response passes and a node is accepted if it keeps to this share of the constraints, or more.',
        ),
      max_nodes: z
        .int()
        .min(1)
        .max(100_000)
        .default(faithful.search.max_nodes)
        .describe('Children with a value after which a tree is not refined further.'),
      accept: z
        .enum(['best', 'first-unbeatable', 'first-sure', 'first'])
        .default(faithful.search.accept)
        .describe(
          `The child that is accepted: the best of its level; the same, but at once if all its votes are yes; at once if its value is at least \`sure\`; or the first above the gate. Lean: \`${lean.search.accept}\`.`,
        ),
      sure: z
        .number()
        .gt(0)
        .max(1)
        .default(faithful.search.sure)
        .describe('The value of a child that `first-sure` accepts at once; four of five votes.'),
      wave: z
        .int()
        .min(1)
        .max(1_000_000)
        .nullable()
        .default(faithful.search.wave)
        .describe(
          `Children of a level that are refined at once, so that the next need not be if one is accepted; null for all. Lean: \`${lean.search.wave}\`.`,
        ),
      cancel: z
        .boolean()
        .default(faithful.search.cancel)
        .describe(
          `Break off the votes on children behind one that is accepted. Lean: \`${lean.search.cancel}\`.`,
        ),
    })
    .prefault({}),
  negatives_per_instruction: z
    .int()
    .min(1)
    .max(1024)
    .default(faithful.negatives_per_instruction)
    .describe('Failed responses of an instruction that get a tree, at most.'),
  prompts: z
    .strictObject({
      judge: z.string().min(1).optional().describe('A file in place of our judge prompt.'),
      refine: z.string().min(1).optional().describe('A file in place of our refine prompt.'),
    })
    .prefault({}),
  budget: z
    .strictObject({
      max_tokens: z
        .int()
        .min(1)
        .nullable()
        .default(null)
        .describe('Tokens of prompts and answers at most; null for no limit.'),
      max_cost: z
        .number()
        .gt(0)
        .nullable()
        .default(null)
        .describe('By the prices of the models at most, in their currency; null for no limit.'),
      pairs: z
        .int()
        .min(1)
        .nullable()
        .default(null)
        .describe('Preference pairs to end at; null for all that the instructions give.'),
    })
    .prefault({})
    .describe('Of an iteration: all of its runs and workers together.'),
  limits: z
    .strictObject({
      max_in_flight: z
        .int()
        .min(1)
        .max(100_000)
        .default(256)
        .describe('Generations in flight at one endpoint at most, unless it says otherwise.'),
      first_in_flight: z
        .int()
        .min(1)
        .max(100_000)
        .default(64)
        .describe(
          'Generations in flight at one endpoint at first; it doubles with each round of answers while that brings more.',
        ),
      deadline_ms: milliseconds(1)
        .default(15 * 60_000)
        .describe('How long one call may take.'),
      probe_ms: milliseconds(1)
        .default(60_000)
        .describe('How long an endpoint may take over a small question that finds out about it.'),
      records: z.int().min(1).max(16_384).default(4096).describe('Records in flight in a stage.'),
      bytes: z
        .int()
        .min(1024)
        .default(64 * 1024 * 1024)
        .describe('Bytes of records in flight in a stage.'),
      open_trees: z
        .int()
        .min(1)
        .nullable()
        .default(null)
        .describe(
          'Trees in progress, and instructions that may become some, of those that a process samples, at which ' +
            'sampling pauses; null for twice the generations that its endpoints take at once.',
        ),
      linger_ms: z
        .int()
        .min(0)
        .max(10_000)
        .default(20)
        .describe('How long finished work waits for company in its transaction.'),
      transaction_records: z
        .int()
        .min(1)
        .max(10_000)
        .default(500)
        .describe('Records finished in one transaction at most.'),
      table_wait_ms: milliseconds(1)
        .default(10 * 60_000)
        .describe('How long a record waits for the row it joins with.'),
      max_line_bytes: z
        .int()
        .min(1024)
        .default(1024 * 1024)
        .describe('The longest line of an instruction file.'),
      shutdown_ms: z
        .int()
        .min(0)
        .max(60_000)
        .default(3000)
        .describe(
          'How long a stop waits for calls in flight, so that they need not be paid for again.',
        ),
      down_ms: milliseconds(1)
        .default(30 * 60_000)
        .describe(
          'How long a run waits for an endpoint that is down, or for brokers, before it gives up.',
        ),
    })
    .prefault({}),
  kafka: kafkaSection,
  registry: registrySection,
  retries: z
    .strictObject({
      attempts: z.int().min(1).max(1000).default(8).describe('Tries of one model call.'),
      first_delay_ms: milliseconds(0)
        .default(500)
        .describe('Wait before the second try; it doubles with each further one.'),
      max_delay_ms: milliseconds(0).default(30_000).describe('The longest wait between two tries.'),
      max_retry_after_ms: milliseconds(0)
        .default(120_000)
        .describe('The longest wait that a server may ask for.'),
      down_after: z
        .int()
        .min(1)
        .default(10)
        .describe('Failures in a row after which an endpoint counts as down.'),
      busy_after: z
        .int()
        .min(1)
        .default(30)
        .describe(
          'Refusals (429), each outweighed by an answer, after which an endpoint counts as down.',
        ),
      record_attempts: z
        .int()
        .min(1)
        .max(1000)
        .default(5)
        .describe('Tries of a record before it becomes a dead letter.'),
    })
    .prefault({}),
  export: z
    .strictObject({
      formats: z
        .array(z.enum(exportFormats))
        .min(1)
        .default([...exports.formats])
        .describe('Whose loaders the files are for.'),
      sets: z
        .array(z.enum(exportSets))
        .default([...exports.sets])
        .describe('What is written for them; `raw` has all lineage of the pairs instead.'),
      max_pairs: z
        .int()
        .min(1)
        .nullable()
        .default(exports.max_pairs)
        .describe('Preference pairs at most, chosen by seed; null for all.'),
      caps: z
        .strictObject({
          refine: z
            .int()
            .min(0)
            .default(exports.caps.refine)
            .describe('How accepted nodes were refined.'),
          above: z
            .int()
            .min(0)
            .default(exports.caps.above)
            .describe('Critiques of nodes that most votes, but not all, passed.'),
          below: z
            .int()
            .min(0)
            .default(exports.caps.below)
            .describe('Critiques of nodes that most votes, but not all, failed.'),
          fail: z
            .int()
            .min(0)
            .default(exports.caps.fail)
            .describe('Critiques of responses that most votes, but not all, failed.'),
          pass: z
            .int()
            .min(0)
            .default(exports.caps.pass)
            .describe('Critiques of responses that most votes, but not all, passed.'),
        })
        .prefault({})
        .describe('Rows of each refiner set at most.'),
      actor: z
        .strictObject({
          passing: z
            .int()
            .min(0)
            .default(exports.actor.passing)
            .describe('Passing responses of an instruction at most, chosen by seed.'),
          max_rows: z
            .int()
            .min(1)
            .nullable()
            .default(exports.actor.max_rows)
            .describe('Rows at most, chosen by seed; null for all.'),
        })
        .prefault({})
        .describe('What the set `actor_sft` takes, beside every accepted refinement.'),
      test_share: z
        .number()
        .min(0)
        .lt(1)
        .default(exports.test_share)
        .describe('Share of the instructions, chosen by seed, whose rows go to test files.'),
      sources: z
        .record(z.string(), z.number().min(0).max(1))
        .default(exports.sources)
        .describe(
          'Share of the pairs of a source that are kept, chosen by seed, by the name of the source; all of them unless it is named.',
        ),
      gates: gatesSection,
      shard_rows: z
        .int()
        .min(1)
        .max(100_000)
        .default(exports.shard_rows)
        .describe('Preference pairs of a shard, with `spar export --follow --shards`.'),
      base_model: z
        .string()
        .min(1)
        .default(exports.base_model)
        .describe('What the shipped training files name as the model to train.'),
      template: z
        .string()
        .min(1)
        .default(exports.template)
        .describe("LLaMA-Factory's name of that model's chat template."),
    })
    .prefault({}),
  evaluate: z
    .strictObject({
      ...sampling({ temperature: 0, top_p: 1, max_tokens: 4096, stop: [] }),
      resamples: z
        .int()
        .min(100)
        .max(1_000_000)
        .default(10_000)
        .describe('Draws of the prompts for the interval of the instruction-level accuracy.'),
    })
    .prefault({})
    .describe('How `spar evaluate` asks and estimates.'),
  log_level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('From which level on `spar.log` keeps events.'),
});

export type Config = z.output<typeof configSchema>;
export type EndpointConfig = z.output<typeof endpoint>;

/** One thing that is wrong with a configuration: where, and what was expected. */
export interface ConfigProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
  /** Whether the name is wrong, or what it is set to. */
  readonly wrong: 'name' | 'value';
}

/** Lean's own defaults put in where nothing is set; whatever cannot be read is left for the schema to refuse. */
function withMode(value: unknown): unknown {
  if (!isSection(value) || value['mode'] !== 'lean') return value;
  const sections = Object.entries(lean).flatMap(([name, defaults]) => {
    const own = value[name] ?? {};
    return isSection(own) ? [[name, { ...defaults, ...own }]] : [];
  });
  return { ...value, ...(Object.fromEntries(sections) as Readonly<Record<string, unknown>>) };
}

const isSection = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export function checkConfig(
  value: unknown,
): { readonly config: Config } | { readonly problems: readonly ConfigProblem[] } {
  const result = configSchema.safeParse(withMode(value));
  if (result.success) return { config: result.data };
  return {
    problems: result.error.issues.flatMap((issue): readonly ConfigProblem[] => {
      const path = issue.path.filter((part) => typeof part !== 'symbol');
      return issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({
            path: [...path, key],
            message: 'there is no such setting',
            wrong: 'name',
          }))
        : [{ path, message: issue.message, wrong: 'value' }];
    }),
  };
}
