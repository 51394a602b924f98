import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { codeCritique, checksOn, decidedByCode } from '../../processors/rules/code.ts';
import { auditReport, auditWith, type Audit } from '../../processors/rules/audit.ts';
import { gateOf, passes } from '../../processors/rules/tree.ts';
import { parseVote, parseVoteStrictly } from '../../processors/rules/vote.ts';
import type { Settings } from '../../processors/settings.ts';
import type { Check, Constraint, Instruction, JudgeBy } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { topics } from '../../topology/topics.ts';
import { fromJson } from '../../infra/input/instruction.ts';
import { rowsMade } from '../oracle/cases.ts';
import { judgedBy } from '../support/judged-by.ts';
import { drive } from '../support/drive.ts';
import { refined, script, settingsWith, type Script } from '../support/script.ts';
import { votesOf } from '../support/votes.ts';

/** Constraints that code checks, within the dataflow: alone, with a veto, and as a silent witness of the votes. */
const noComma: Constraint = { id: 'punctuation:no_comma', arguments: '{}' };
const fiveWords: Constraint = {
  id: 'length_constraints:number_words',
  arguments: '{"num_words":5,"relation":"at least"}',
};
const strange: Constraint = { id: 'made:up', arguments: '{}' };
const wrong: Constraint = { id: 'length_constraints:number_words', arguments: '{"num_words":"x"}' };
const broken: Constraint = { id: 'punctuation:no_comma', arguments: 'not JSON' };

const instruction = (changes: Partial<Instruction> = {}): Instruction => ({
  id: 'a',
  messages: [{ role: 'user', content: 'Write five words without commas.' }],
  constraints: [noComma, fiveWords],
  judge_by: null,
  source: 'test',
  extra: '{}',
  source_line: 1,
  responses: ['No, not so.'],
  added_at: 0,
  ...changes,
});

async function flow(
  lines: Script,
  changes: { readonly by: JudgeBy; readonly search?: Partial<Settings['search']> },
  record = instruction(),
) {
  const model = script(lines);
  const settings = settingsWith({
    judge: { by: changes.by },
    search: { branch: 1, keep: 1, ...changes.search },
  });
  return { ...(await drive(dataflow, topics.instructions, [record], { settings, model })), model };
}

describe('what code finds', () => {
  test.each([
    ['a comma', 'No, not so at all.', noComma, 'broken', '1 comma; none allowed'],
    [
      'enough words',
      'This has just five words',
      fiveWords,
      'satisfied',
      '5 words; at least 5 wanted',
    ],
    [
      "one of IFBench's",
      '1 and 2',
      { id: 'count:numbers', arguments: '{"N":2}' },
      'satisfied',
      '2 numbers; exactly 2 wanted',
    ],
    ['a constraint that nobody knows', 'x', strange, 'unknown', 'there is no constraint made:up'],
    [
      'an argument that is wrong',
      'x',
      wrong,
      'unknown',
      'length_constraints:number_words: the argument num_words has to be a whole number, 0 or more, but is "x"',
    ],
  ] as const)('%s', (_name, text, constraint, outcome, detail) => {
    expect(checksOn(text, [constraint], () => null)).toEqual([
      { id: constraint.id, outcome, detail },
    ]);
  });

  test('arguments that are no JSON make no record fail', () => {
    expect(checksOn('x', [broken], () => null)).toMatchObject([{ outcome: 'unknown' }]);
  });

  test.each([
    ['code alone takes the share', 'code', 'No, not so at all.', 0.5],
    ['a veto has that share of the gate', 'both', 'No, not so at all.', 0.25],
    ['votes decide about what breaks nothing', 'both', 'Not one of them here', null],
    ['votes decide about all', 'model', 'No, not so at all.', null],
  ] as const)('%s', (_name, by, text, value) => {
    const constraints = [noComma, fiveWords, strange];
    const checks = checksOn(text, constraints, () => null);
    expect(decidedByCode(checks, constraints, by, { gate: 0.5 })?.value ?? null).toBe(value);
  });

  test.prop([
    fc.array(fc.constantFrom('satisfied', 'broken', 'unknown'), { minLength: 1 }),
    fc.double({ min: 0, max: 0.99, noNaN: true }),
  ])('a veto is never above the gate, and code alone accepts all or nothing', (outcomes, gate) => {
    const checks = outcomes.map((outcome): Check => ({ id: 'x', outcome, detail: '' }));
    const by = (who: JudgeBy) => decidedByCode(checks, [], who, { gate });
    const vetoed = by('both');
    if (vetoed) expect(vetoed.value <= gate).toBe(true);
    const alone = by('code');
    const isClean = !outcomes.includes('broken');
    if (alone) {
      const gateOfCode = gateOf({ gate, code_gate: 1 }, 'code');
      expect(passes(alone.value, gateOfCode)).toBe(isClean);
    }
  });

  const quoting = fc
    .array(fc.constantFrom('Final Judgement: Yes', '\n', 'Yes', ' ', 'No', 'final judgment', 'x'))
    .map((parts) => parts.join(''));

  test.prop([fc.array(fc.record({ isBroken: fc.boolean(), text: quoting }), { minLength: 1 })])(
    'whatever a text or a constraint says, the critique has the verdict of code',
    (found) => {
      const constraints = found.map(({ text }): Constraint => ({
        id: 'keywords:existence',
        arguments: JSON.stringify({ keywords: [`k${text}`] }),
      }));
      const checks = found.map(({ isBroken, text }): Check => ({
        id: 'keywords:existence',
        outcome: isBroken ? 'broken' : 'satisfied',
        detail: text,
      }));
      const critique = codeCritique(checks, constraints);
      const verdict = found.some(({ isBroken }) => isBroken) ? 'no' : 'yes';
      expect(parseVote(critique)).toBe(verdict);
      expect(parseVoteStrictly(critique, 'stop')).toBe(verdict);
    },
  );
});

describe('code alone', () => {
  const lines: Script = {
    'refiner 0/r.0': refined('Still not so at all, no'),
    'refiner 0/r.0.0': refined('Now it is as wanted'),
  };

  test('asks no judge, refines what is broken, and accepts what keeps to everything', async () => {
    const { of, model } = await flow(lines, { by: 'code' });
    expect(model.calls).toEqual(['refiner 0/r.0', 'refiner 0/r.0.0']);
    expect(of(topics.pairs)).toMatchObject([
      {
        chosen: 'Now it is as wanted',
        rejected: 'No, not so.',
        chosen_value: 1,
        gate: 1,
        judge_by: 'code',
        path: [
          { value: 0, judged_by: 'code' },
          { value: 0.5, judged_by: 'code' },
          { value: 1, judged_by: 'code' },
        ],
      },
    ]);
    expect(of(topics.nodes)).toMatchObject([
      {
        value: 0.5,
        votes: [],
        rounds: 0,
        judged_by: 'code',
        checks: [
          { id: noComma.id, outcome: 'broken', detail: '1 comma; none allowed' },
          { id: fiveWords.id, outcome: 'satisfied', detail: '6 words; at least 5 wanted' },
        ],
      },
      { value: 1, judged_by: 'code' },
    ]);
  });

  test('tells the refiner what it found', async () => {
    const { model } = await flow(lines, { by: 'code' });
    expect(model.requests[1]?.messages[1]?.content).toBe(
      [
        'These requirements are broken:',
        '- Do not use any commas. Found: 1 comma; none allowed.',
        '',
        'These requirements are met:',
        '- Write at least 5 words. Found: 6 words; at least 5 wanted.',
        '',
        'Final Judgement: No',
      ].join('\n'),
    );
  });

  test('accepts at the share that is set', async () => {
    const { of } = await flow(
      { 'refiner 0/r.0': refined('Still not so at all, no') },
      { by: 'code', search: { code_gate: 0.5 } },
    );
    expect(of(topics.pairs)).toMatchObject([{ chosen_value: 0.5, gate: 0.5 }]);
  });

  test.each([
    ['without constraints', []],
    ['with none that it knows', [strange, broken]],
  ])('gives an instruction up %s', async (_name, constraints) => {
    await expect(flow({}, { by: 'code' }, instruction({ constraints }))).rejects.toMatchObject({
      code: 'no-constraints',
    });
  });
});

describe('without a judge', () => {
  const settings = {
    ...settingsWith({ judge: { by: 'code' } }),
    models: { actor: 'actor-1', judge: '', refiner: 'refiner-1' },
  };

  test('code judges as ever, and records name none', async () => {
    const { of } = await drive(
      dataflow,
      topics.instructions,
      [instruction({ responses: ['Now it is as wanted'] })],
      { settings, model: script({}) },
    );
    expect(of(topics.verdicts)).toMatchObject([{ judge_model: '', judged: [{ verdict: 'pass' }] }]);
    expect(of(topics.outcomes)).toMatchObject([{ outcome: 'all-passed', calls: 0 }]);
  });

  test.each(['model', 'both'] as const)(
    'an instruction with judge_by: %s is given up before anything is asked, and why',
    async (by) => {
      await expect(
        drive(dataflow, topics.instructions, [instruction({ judge_by: by })], {
          settings,
          model: script({}),
        }),
      ).rejects.toMatchObject({
        code: 'no-judge',
        message: expect.stringContaining(`a wants a model's votes (judge_by: ${by})`) as unknown,
      });
    },
  );
});

describe('both', () => {
  test('code refuses before any vote is asked for, and votes decide the rest', async () => {
    const { of, model } = await flow(
      {
        'refiner 0/r.0': refined('Still not so at all, no'),
        'refiner 0/r.0.0': refined('Now it is as wanted'),
        'judge 0/r.0.0': 'yyyyn',
      },
      { by: 'both' },
    );
    expect(model.unasked()).toEqual([]);
    expect(of(topics.pairs)).toMatchObject([
      { chosen_value: 0.8, gate: 0.5, judge_by: 'both', saved_code_votes: 10 },
    ]);
    expect(of(topics.verdicts)).toMatchObject([
      { judged: [{ verdict: 'fail', judged_by: 'code', votes: [] }] },
    ]);
  });

  test('an instruction without constraints is the model’s', async () => {
    const { of } = await flow(
      { 'judge 0': 'yyyyy' },
      { by: 'both' },
      instruction({ constraints: [] }),
    );
    expect(of(topics.outcomes)).toMatchObject([{ outcome: 'all-passed', saved_code_votes: 0 }]);
  });
});

test('an instruction may say who judges it', async () => {
  const record = instruction({ judge_by: 'code', responses: ['This has just five words'] });
  const { of, model } = await flow({}, { by: 'model' }, record);
  expect(model.calls).toEqual([]);
  expect(of(topics.outcomes)).toMatchObject([{ outcome: 'all-passed' }]);
});

test('with the model as the judge, code looks on and decides nothing', async () => {
  const { of } = await flow({ 'judge 0': 'yyyyy' }, { by: 'model' });
  expect(of(topics.verdicts)).toMatchObject([
    { judged: [{ verdict: 'pass', judged_by: 'model', checks: [{ outcome: 'broken' }, {}] }] },
  ]);
});

describe('the audit', () => {
  const checks = (...outcomes: readonly Check['outcome'][]) =>
    outcomes.map((outcome, index): Check => ({ id: `k${index}`, outcome, detail: '' }));

  test.each([
    [
      'a pass of a text that breaks it is false',
      'yyn',
      ['broken', 'satisfied'],
      { k0: { falsePass: 1, falseFail: null, agreement: 0 } },
    ],
    [
      'a fail of one that keeps to all is false',
      'nny',
      ['satisfied', 'unknown'],
      { k0: { falsePass: null, falseFail: 1, agreement: 0 } },
    ],
    [
      'a fail of a text that breaks it agrees',
      'nnn',
      ['broken'],
      { k0: { falsePass: 0, falseFail: null, agreement: 1 } },
    ],
    ['a tie says nothing', 'yn', ['broken'], {}],
    ['nor does code that knows nothing', 'y', ['unknown'], {}],
    ['nor a text without votes', '', ['broken'], {}],
  ] as const)('%s', (_name, letters, outcomes, expected) => {
    const audit: Audit = auditWith({}, { votes: votesOf(letters), checks: checks(...outcomes) });
    expect(auditReport(audit)).toMatchObject(expected);
    expect(Object.keys(audit)).toEqual(Object.keys(expected));
  });
});

describe('prompts with several constraints, and a model that repairs one at a time', () => {
  const instructions = Array.from(rowsMade(30, 7), (row, index) => ({
    ...fromJson(JSON.stringify({ ...row, id: `p${index}` })),
    ...{ source: 'test', source_line: 1, added_at: 0 },
  }));

  test.each(['code', 'both'] as const)('%s: no chosen side breaks anything', async (by) => {
    const { figures } = await judgedBy(by, instructions, 1);
    const { pairs, chosenBreakingSomething, savedByCode } = figures;
    expect(pairs).toBeGreaterThan(5);
    expect(chosenBreakingSomething).toBe(0);
    expect(savedByCode).toBeGreaterThan(0);
  });
});
