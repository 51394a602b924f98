import { describe, expect, test } from 'vitest';
import type { Constraint } from '../../../schemas/records.ts';
import type { ExportSettings } from '../../../infra/exports/settings.ts';
import { node, pair, pathNode, refinement, rowsOf, verdicts } from '../support.ts';
import { allOff, exportedOf, settingsWith } from './support.ts';

/** The gate of constraints is about whatever is taught as good; what is meant to be bad may break them. */
const constraints: readonly Constraint[] = [{ id: 'punctuation:no_comma', arguments: '{}' }];
const noComma = (name: string) => ({ ...verdicts(name), constraints });

/** What becomes of one set. */
async function taught(
  set: ExportSettings['sets'][number],
  written: Parameters<typeof exportedOf>[0],
  isOn = true,
) {
  const { texts, manifest } = await exportedOf(
    written,
    settingsWith({ ...allOff, constraints: isOn }, { formats: ['trl'], sets: [set] }),
  );
  return {
    rows: rowsOf(texts[`trl/${set}/train.jsonl`] ?? ''),
    counts: manifest['counts'],
    rejected: (manifest['rejected_rows'] as Readonly<Record<string, unknown>>)[set],
    why: rowsOf(texts['rejected.jsonl'] ?? '').map(
      ({ id, reason, detail }) => `${String(id)}: ${String(reason)} (${String(detail)})`,
    ),
  };
}

const found = 'broken-constraint (punctuation:no_comma: 1 comma; none allowed)';

describe('actor_sft', () => {
  const passed = (name: string, text: string) => {
    const row = noComma(name);
    return { ...row, responses: row.responses.map((one) => ({ ...one, text })) };
  };
  const written = {
    verdicts: [passed('a', 'One, two.'), passed('b', 'One two.')],
    refinements: [{ ...refinement('a'), text: 'Well, yes.' }, refinement('b')],
  };

  test('has no refinement and no response that breaks a constraint, and says what it left out', async () => {
    const { rows, counts, rejected, why } = await taught('actor_sft', written);
    expect(rows.map(({ completion }) => completion)).toEqual(
      expect.arrayContaining([
        [{ role: 'assistant', content: 'chosen b' }],
        [{ role: 'assistant', content: 'One two.' }],
      ]),
    );
    expect(counts).toMatchObject({ actor_sft: 2 });
    expect(rejected).toEqual({ 'broken-constraint': 2 });
    expect(why.toSorted()).toEqual([`passed/1%2Fa/0: ${found}`, `refined/1%2Fa%2F0: ${found}`]);
  });

  test('has them with the gate off', async () => {
    const { counts, rejected } = await taught('actor_sft', written, false);
    expect(counts).toMatchObject({ actor_sft: 4 });
    expect(rejected).toEqual({});
  });
});

describe('refiner_sft', () => {
  test.each([
    [true, 0, { 'broken-constraint': 1 }],
    [false, 1, {}],
  ])('a refinement that breaks a constraint is not taught: %s', async (isOn, rows, rejected) => {
    const written = {
      verdicts: [{ ...noComma('a'), judged: [] }],
      refinements: [{ ...refinement('a'), text: 'Well, yes.' }],
    };
    expect(await taught('refiner_sft', written, isOn)).toMatchObject({
      counts: { refiner_sft: rows },
      rejected,
    });
  });

  test('a critique that passes a broken response is not taught, one that fails it is', async () => {
    const row = noComma('a');
    const responses = row.responses.map((one) => ({ ...one, text: `${one.index}, broken` }));
    const { rows, rejected, why } = await taught('refiner_sft', {
      verdicts: [{ ...row, responses }],
    });
    expect(rows.map(({ completion }) => completion)).toMatchObject([
      [{ content: expect.stringContaining('on a 1') as unknown }],
    ]);
    expect(rejected).toEqual({ 'broken-constraint': 1 });
    expect(why).toEqual([`1/a/0: ${found}`]);
  });

  test('nor one of a node that most votes passed; another node of its tree takes its place', async () => {
    const of = (child: number, value: number, text: string) => ({
      ...node('a', child, value),
      text,
    });
    const nodes = [of(0, 0.6, 'One, two.'), of(1, 0.8, 'One two.'), of(2, 0.4, 'Bad, bad.')];
    const { rows, rejected } = await taught('refiner_sft', {
      verdicts: [{ ...noComma('a'), judged: [] }],
      nodes,
    });
    expect(
      rows.map(({ completion }) => (completion as readonly { content: string }[])[0]?.content),
    ).toEqual(expect.arrayContaining(['node critique a 1', 'node critique a 2']));
    expect(rows).toHaveLength(2);
    expect(rejected).toEqual({ 'broken-constraint': 1 });
  });
});

describe('steps', () => {
  test('a step that is better and still breaks a constraint is left out, the last one stays', async () => {
    const path = [
      { ...pathNode('r', null, 'a, b, c'), value: 0.1 },
      { ...pathNode('r.0', 'r', 'a, b c'), value: 0.4 },
      { ...pathNode('r.0.0', 'r.0', 'a b c'), value: 0.8 },
    ];
    const pairs = [pair('a', { chosen: 'a b c', rejected: 'a, b, c', constraints, path })];
    const { rows, rejected, why } = await taught('steps', { pairs });
    expect(rows).toMatchObject([
      { chosen: [{ content: 'a b c' }], rejected: [{ content: 'a, b c' }] },
    ]);
    expect(rejected).toEqual({ 'broken-constraint': 1 });
    expect(why).toEqual([`1/a/0/r.0: ${found}`]);
  });
});

describe('the manifest', () => {
  const asked = 'punctuation:no_comma';
  const checked = (name: string, outcome: 'broken' | 'satisfied') => {
    const row = verdicts(name);
    const checks = [{ id: asked, outcome, detail: '' }];
    return { ...row, judged: row.judged.map((one) => ({ ...one, checks })) };
  };
  const written = { verdicts: [checked('a', 'broken'), checked('b', 'satisfied')] };

  test('says how far the votes agree with code, where verdicts are read', async () => {
    // Of each record the votes let the first response pass and fail the second.
    const { manifest } = await exportedOf(
      written,
      settingsWith(allOff, { formats: ['trl'], sets: ['refiner_sft'] }),
    );
    expect(manifest['judge_audit']).toEqual({
      [asked]: {
        ...{ broken: 2, falsePasses: 1, kept: 2, falseFails: 1 },
        ...{ agreement: 0.5, falsePass: 0.5, falseFail: 0.5 },
      },
    });
  });

  test('says nothing of it where none are', async () => {
    const { manifest } = await exportedOf(
      written,
      settingsWith(allOff, { formats: ['trl'], sets: ['preference'] }),
    );
    expect(manifest['judge_audit']).toBeNull();
  });
});
