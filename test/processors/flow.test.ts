import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import type { Choice, Model } from '../../processors/processor.ts';
import { pair } from '../../processors/pair.ts';
import { fullId } from '../../processors/rules/ids.ts';
import { noSavings } from '../../processors/rules/savings.ts';
import { addSpend, noSpend } from '../../processors/rules/spend.ts';
import type { Instruction, Refinement } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { topics } from '../../topology/topics.ts';
import { drive, tableOf } from '../support/drive.ts';
import { refined, script, settingsWith, spendOn, type Script } from '../support/script.ts';

const instruction = (changes: Partial<Instruction> = {}): Instruction => ({
  id: 'a/b',
  messages: [{ role: 'user', content: 'Write a haiku.' }],
  constraints: [{ id: 'punctuation:no_comma', arguments: '{}' }],
  judge_by: null,
  source: 'test.jsonl',
  extra: '{"key":1}',
  source_line: 1,
  responses: [],
  added_at: 0,
  ...changes,
});

const flow = async (
  lines: Script,
  changes: Parameters<typeof settingsWith>[0] = {},
  records: readonly Instruction[] = [instruction()],
) => {
  const model = script(lines);
  const settings = settingsWith(changes);
  const driven = await drive(dataflow, topics.instructions, records, { settings, model });
  return { ...driven, model };
};

const firstChildren = (tree: number, votes: string): Script =>
  Object.fromEntries(
    [0, 1, 2].flatMap((child): [string, string][] => [
      [`refiner ${tree}/r.${child}`, refined(`tree ${tree} child ${child}`)],
      [`judge ${tree}/r.${child}`, votes],
    ]),
  );

describe('an instruction becomes a pair', () => {
  const lines = {
    actor: [' good ', 'bad', 'tied', 'fine', 'fine'],
    'judge 0': 'yyyyy',
    'judge 1': 'ynnn?',
    'judge 2': 'ynyn?',
    'judge 3': 'yyyyy',
    'judge 4': 'yyyyy',
    ...firstChildren(0, 'yyyyn'),
  };

  test('with its lineage: who said what, and how it was judged', async () => {
    const { of } = await flow(lines);
    expect(of(topics.pairs)).toEqual([
      {
        id: '1/a%2Fb/0',
        iteration: '1',
        instruction_id: 'a/b',
        tree: 0,
        trees: 1,
        messages: [{ role: 'user', content: 'Write a haiku.' }],
        constraints: [{ id: 'punctuation:no_comma', arguments: '{}' }],
        source: 'test.jsonl',
        extra: '{"key":1}',
        chosen: 'tree 0 child 0',
        rejected: 'bad',
        chosen_value: 0.8,
        chosen_yes: 4,
        chosen_no: 1,
        chosen_invalid: 0,
        rejected_index: 1,
        rejected_yes: 1,
        rejected_no: 3,
        rejected_invalid: 1,
        rejected_critique: 'judge 1 vote 1. Final Judgement: No',
        gate: 0.5,
        judge_by: 'model',
        node_id: 'r.0',
        depth: 1,
        path: [
          expect.objectContaining({ node_id: 'r', text: 'bad', value: 0.25, answer: null }),
          expect.objectContaining({ node_id: 'r.0', answer: refined('tree 0 child 0') }),
        ],
        evaluated: 3,
        dropped: 0,
        actor_model: 'actor-1',
        judge_model: 'judge-1',
        judge_prompt: 'hash-of-judge',
        refiner_model: 'refiner-1',
        refine_prompt: 'hash-of-refine',
        rules: '1',
        // One request for the samples, five and three for votes, three refinements.
        ...noSavings,
        ...[spendOn(5), ...Array(8).fill(spendOn(5)), ...Array(3).fill(spendOn(1))].reduce(
          addSpend,
        ),
      },
    ]);
  });

  test('every response is judged, equal ones each, all trimmed', async () => {
    const { of, model } = await flow(lines);
    expect(of(topics.responses)[0]?.responses.map(({ text }) => text)).toEqual([
      'good',
      'bad',
      'tied',
      'fine',
      'fine',
    ]);
    expect(
      of(topics.verdicts)[0]?.judged.map(({ index, verdict, votes }) => [
        index,
        verdict,
        votes.length,
      ]),
    ).toEqual([
      [0, 'pass', 5],
      [1, 'fail', 5],
      [2, 'tie', 5],
      [3, 'pass', 5],
      [4, 'pass', 5],
    ]);
    expect(model.calls.slice(0, 6)).toEqual([
      'actor',
      'judge 0',
      'judge 1',
      'judge 2',
      'judge 3',
      'judge 4',
    ]);
  });

  test('what is asked of the models is what the paper asks', async () => {
    const { model } = await flow(lines);
    const stop = ['<|eot_id|>', '</s>'];
    expect(model.requests[0]).toMatchObject({
      role: 'actor',
      messages: [{ role: 'user', content: 'Write a haiku.' }],
      sampling: { temperature: 0.9, top_p: 0.9, max_tokens: 2048, stop },
      draws: { count: 5 },
    });
    expect(model.requests[1]).toMatchObject({
      role: 'judge',
      sampling: { temperature: 0.7, top_p: 1, max_tokens: 2048, stop },
      draws: { count: 5 },
    });
  });

  test('thoughts stay beside the answers and are shown to nobody', async () => {
    const { of, model } = await flow({ 'judge 0': 'nnnnn', ...firstChildren(0, 'yyyyy') }, {}, [
      instruction({ responses: ['<think>secret</think> bad'] }),
    ]);
    expect(of(topics.responses)[0]?.responses[0]).toMatchObject({
      text: 'bad',
      reasoning: 'secret',
    });
    expect(of(topics.pairs)[0]?.rejected).toBe('bad');
    expect(JSON.stringify(model.requests)).not.toContain('secret');
  });
});

describe('once per id', () => {
  const lines = { 'judge 0': 'nnnnn', ...firstChildren(0, 'yyyyy') };
  const own = instruction({ responses: ['bad'] });

  test('an instruction that comes again is not sampled again', async () => {
    const { of, model } = await flow(lines, {}, [own, own]);
    expect(of(topics.responses)).toHaveLength(1);
    expect(of(topics.pairs)).toHaveLength(1);
    expect(model.calls).toHaveLength(new Set(model.calls).size);
  });

  test('a tree that is paired is not paired again', async () => {
    const { of } = await flow(lines, {}, [own]);
    const [refinement] = of(topics.refinements);
    const tables = {
      negatives: tableOf(() => of(topics.negatives)),
      paired: tableOf(() => of(topics.pairs)),
    };
    const again = await pair(refinement!, { ...context(), tables });
    expect(again).toEqual({});
  });
});

const context = () => ({
  settings: settingsWith(),
  model: script({}),
  chance: () => 0,
  languageOf: () => null,
  signal: new AbortController().signal,
});

describe('own responses', () => {
  test('are taken as they are, trimmed, and nothing is sampled', async () => {
    const { of, model } = await flow({ 'judge 0': 'yyyyy', 'judge 1': 'yyyyy' }, {}, [
      instruction({ responses: [' one ', 'two'] }),
    ]);
    expect(of(topics.responses)).toMatchObject([
      {
        given: true,
        actor_model: '',
        calls: 0,
        responses: [
          { index: 0, text: 'one' },
          { index: 1, text: 'two' },
        ],
      },
    ]);
    expect(model.calls).not.toContain('actor');
  });
});

describe('an instruction without a tree has exactly one outcome', () => {
  test.each([
    ['every response passed', ['yyyyy', 'yyynn'], 'all-passed'],
    ['no failure, but a tie', ['yyyyy', 'yynn?'], 'undecided'],
    ['no vote could be read', ['?????', '?????'], 'undecided'],
  ] as const)('%s: %s → %s', async (_name, [first, second], outcome) => {
    const { of } = await flow(
      { actor: ['one', 'two'], 'judge 0': first, 'judge 1': second },
      { responses: 2 },
    );
    expect(of(topics.outcomes)).toEqual([
      {
        id: '1/a%2Fb',
        iteration: '1',
        instruction_id: 'a/b',
        tree: null,
        trees: 0,
        outcome,
        cause: null,
        revision: 0,
        evaluated: 0,
        ...noSavings,
        ...[spendOn(2), spendOn(5), spendOn(5)].reduce(addSpend),
      },
    ]);
    expect(of(topics.negatives)).toEqual([]);
  });
});

describe('one with several trees has one outcome each', () => {
  const lines = {
    actor: ['one', 'two', 'three'],
    'judge 0': 'nnnnn',
    'judge 1': 'nnnnn',
    'judge 2': 'yyyyy',
    ...firstChildren(0, 'yyyyy'),
    ...firstChildren(1, 'nnnnn'),
  };
  const settings = { responses: 3, negatives_per_instruction: 5, search: { depth: 1 } };

  test('no more trees than failures, and every outcome says how many', async () => {
    const { of } = await flow(lines, settings);
    expect(
      of(topics.outcomes)
        .map(({ id, trees, outcome }) => [id, trees, outcome])
        .toSorted(),
    ).toEqual([
      ['1/a%2Fb/0', 2, 'paired'],
      ['1/a%2Fb/1', 2, 'exhausted'],
    ]);
    expect(
      of(topics.negatives)
        .map(({ response }) => response)
        .toSorted(),
    ).toEqual(['one', 'two']);
  });

  test('what came before the trees is counted once: outcomes add up to the whole', async () => {
    const { of, model } = await flow(lines, settings);
    const spent = of(topics.outcomes).reduce(addSpend, noSpend);
    expect(spent.calls).toBe(model.calls.length);
    expect(of(topics.expand).map(({ tree, calls }) => [tree, calls])).toEqual([
      [0, 4],
      [1, 0],
    ]);
  });
});

test.each([
  ['above the gate is paired', 0.6, 'paired', 1],
  ['at the gate is not', 0.5, 'exhausted', 0],
])('an accepted value %s', async (_name, value, outcome, pairs) => {
  const driven = await flow({ 'judge 0': 'nnnnn', ...firstChildren(0, 'yyyyy') }, {}, [
    instruction({ responses: ['bad'] }),
  ]);
  const refinement: Refinement = { ...driven.of(topics.refinements)[0]!, value };
  const tables = {
    negatives: tableOf(() => driven.of(topics.negatives)),
    paired: tableOf(() => []),
  };
  const outputs = await pair(refinement, { ...context(), tables });
  expect(outputs.outcomes).toMatchObject([{ outcome, cause: null }]);
  expect(outputs.pairs ?? []).toHaveLength(pairs);
});

test('a pair without its negative is an error that the runtime gives a name', async () => {
  const tables = { negatives: tableOf(() => []), paired: tableOf(() => []) };
  const refinement = { id: '1/a/0', value: 1 } as Refinement;
  await expect(pair(refinement, { ...context(), tables })).rejects.toThrow('1/a/0');
});

describe('whatever a model says', () => {
  /** Answers depend on the question alone: a hash of it picks one of a few. */
  const fickle = (seed: number): Model => ({
    ask: ({ role, messages, draws }) => {
      const text = (index: number): string => {
        const asked = `${messages.at(-1)?.content ?? ''}${messages[0]?.content ?? ''}`;
        const pick = hash(seed, role, draws.path, draws.round, draws.attempt, index, asked) % 5;
        if (role === 'judge')
          return `Final Judgement: ${['Yes', 'No', 'No', 'Yes', 'hm'][pick] ?? ''}`;
        if (role === 'actor') return `response ${pick}`;
        return ['none', '[[start]][[end]]'][pick] ?? refined(`text ${pick} ${draws.path.length}`);
      };
      const choices = Array.from({ length: draws.count }, (_, index): Choice => ({
        text: text(index),
        reasoning: null,
        finish_reason: 'stop',
      }));
      return Promise.resolve({ choices, spend: spendOn(draws.count) });
    },
  });

  const records = ['a', 'b', 'c', 'd'].map((id) => instruction({ id }));
  const strategy = fc.constantFrom('breadth-first' as const, 'depth-first' as const);

  test.prop([fc.integer(), strategy, fc.infiniteStream(fc.nat())], { numRuns: 30 })(
    'the order in which records are processed changes nothing, and each ends exactly once',
    async (seed, searchStrategy, order) => {
      const settings = settingsWith({
        seed: Math.abs(seed),
        negatives_per_instruction: 2,
        search: { strategy: searchStrategy },
      });
      const run = (next?: (waiting: number) => number) =>
        drive(dataflow, topics.instructions, records, { settings, model: fickle(seed) }, next);
      const [straight, shuffled] = await Promise.all([
        run(),
        run((waiting) => (order.next().value ?? 0) % waiting),
      ]);
      for (const topic of [topics.pairs, topics.outcomes, topics.nodes]) {
        const sorted = (driven: typeof straight) =>
          driven
            .of<{ readonly id: string }>(topic as never)
            .toSorted((a, b) => (a.id < b.id ? -1 : 1));
        expect(sorted(shuffled)).toEqual(sorted(straight));
      }
      const outcomes = straight.of(topics.outcomes);
      expect(new Set(outcomes.map(({ id }) => id)).size).toBe(outcomes.length);
      for (const { id } of records) {
        const own = outcomes.filter(({ instruction_id }) => instruction_id === id);
        expect(own).toHaveLength(Math.max(1, own[0]?.trees ?? 0));
      }
      for (const pair of straight.of(topics.pairs)) {
        expect(pair.chosen_value).toBeGreaterThan(pair.gate);
        expect(pair.rejected_no).toBeGreaterThan(pair.rejected_yes);
        expect(pair.id).toBe(fullId('1', pair.instruction_id, String(pair.tree)));
      }
    },
  );

  const hash = (...parts: readonly (string | number)[]): number =>
    Array.from(parts.join('|')).reduce(
      (sum, letter) => Math.imul(sum ^ (letter.codePointAt(0) ?? 0), 16777619) >>> 0,
      2166136261,
    ) >>> 3;
});
