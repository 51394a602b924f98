import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { chanceOf } from '../../../infra/runtime/chance.ts';
import {
  assemble,
  defaultCaps,
  improvingSteps,
  nodeRows,
  passingResponses,
  refineRow,
  verdictRows,
  type SetName,
  type TrainingRow,
} from '../../../processors/rules/training.ts';
import { tally } from '../../../processors/rules/vote.ts';
import type { PathNode, Refinement, SearchNode, Verdicts } from '../../../schemas/records.ts';
import { votesOf } from '../../support/votes.ts';

const prompts = {
  judge: { template: 'judge {{response}}', hash: 'j' },
  refine: { template: 'refine it', hash: 'r' },
};
const messages = [{ role: 'user', content: 'Say hi' }] as const;
const chance = chanceOf(1, '1', 'a');

test('(a) the refine turn of the accepted node, with the whole answer', () => {
  const node = (id: string, text: string, answer: string | null) => ({
    node_id: id,
    text,
    answer,
    critique: `critique of ${text}`,
  });
  const refinement = {
    id: '1/a/0',
    messages,
    path: [
      node('r', 'bad', null),
      node('r.1', 'so-so', '[[start]]so-so'),
      node('r.1.0', 'good', 'I reflect. [[start]]good[[end]]'),
    ],
  } as unknown as Refinement;
  expect(refineRow(refinement, prompts)).toEqual({
    id: '1/a/0',
    messages: [
      { role: 'user', content: 'judge so-so' },
      { role: 'assistant', content: 'critique of so-so' },
      { role: 'user', content: 'refine it' },
      { role: 'assistant', content: 'I reflect. [[start]]good[[end]]' },
    ],
  });
});

describe('(b) of each tree one critique above one half and one below', () => {
  const node = (node_id: string, value: number | null, judged_by = 'model') =>
    ({
      id: `1/a/0/${node_id}`,
      judged_by,
      messages,
      node_id,
      text: `text ${node_id}`,
      value,
      critique: value === null ? null : `critique ${node_id}`,
    }) as unknown as SearchNode;
  const ids = (nodes: readonly SearchNode[], seed = 1) => {
    const { above, below } = nodeRows(nodes, chanceOf(seed, '1', 'a'), prompts);
    return [above?.id ?? null, below?.id ?? null];
  };

  test.each([
    ['between one half and 1', [node('r.0', 0.6)], ['1/a/0/r.0', null]],
    ['between 0 and one half', [node('r.0', 0.4)], [null, '1/a/0/r.0']],
    ['not where all votes agree', [node('r.0', 1), node('r.1', 0)], [null, null]],
    ['not without a value', [node('r.0', null)], [null, null]],
    ['one of each', [node('r.0', 0.2), node('r.1', 0.8)], ['1/a/0/r.1', '1/a/0/r.0']],
    ['of no nodes', [], [null, null]],
  ])('%s', (_name, nodes, rows) => {
    expect(ids(nodes)).toEqual(rows);
  });

  test('a row is the judge prompt and its critique', () => {
    expect(nodeRows([node('r.0', 0.6)], chance, prompts).above).toEqual({
      id: '1/a/0/r.0',
      messages: [
        { role: 'user', content: 'judge text r.0' },
        { role: 'assistant', content: 'critique r.0' },
      ],
    });
  });

  const many = ['r.0', 'r.1', 'r.2', 'r.0.0', 'r.0.1'].map((id) => node(id, 0.4));

  test.prop([fc.shuffledSubarray(many, { minLength: many.length }), fc.integer()])(
    'the choice does not depend on the order of the nodes',
    (shuffled, seed) => {
      expect(ids(shuffled, seed)).toEqual(ids(many, seed));
    },
  );

  test('every node may be chosen', () => {
    const chosen = Array.from({ length: 100 }, (_, seed) => ids(many, seed)[1]);
    expect(new Set(chosen).size).toBe(many.length);
  });
});

describe('(c) one critique of the majority where the votes said both', () => {
  const verdicts = (letters: string): Verdicts => {
    return {
      id: '1/a',
      messages,
      responses: [{ index: 0, text: 'hi', reasoning: null, finish_reason: 'stop' }],
      judged: [tally(0, votesOf(letters))],
    } as unknown as Verdicts;
  };

  test.each([
    ['the last of the majority before the first against', 'yynyn', ['1'], []],
    ['the first of the majority if the one against comes first', 'nyyny', ['1'], []],
    ['also if several against come first', 'nnyyy', ['2'], []],
    ['of a failed response', 'nnyn?', [], ['1']],
    ['unreadable votes are as if not cast', 'y?nny?n', [], ['2']],
    ['unreadable votes in between', 'y?ny?', ['0'], []],
    ['not if all agree', 'yyyyy', [], []],
    ['not if all readable ones agree', 'nn???', [], []],
    ['not of a tie', 'yn???', [], []],
  ])('%s: %s', (_name, letters, pass, fail) => {
    const rows = verdictRows(verdicts(letters), prompts);
    const critiques = (set: readonly TrainingRow[]) =>
      set.map((row) => row.messages.at(-1)?.content);
    expect([critiques(rows.pass), critiques(rows.fail)]).toEqual([pass, fail]);
  });

  test('a row is the judge prompt and its critique, named by the response', () => {
    expect(verdictRows(verdicts('yyn'), prompts).pass).toEqual([
      {
        id: '1/a/0',
        messages: [
          { role: 'user', content: 'judge hi' },
          { role: 'assistant', content: '1' },
        ],
      },
    ]);
  });
});

test('what code says of a text is nobody’s critique to learn', () => {
  const nodes = [0.25, 0.75].map((value) => ({
    ...{ id: `1/a/0/r.${value}`, node_id: `r.${value}`, messages, text: 't', value, critique: 'c' },
    judged_by: 'code',
  }));
  expect(nodeRows(nodes as unknown as readonly SearchNode[], chance, prompts)).toEqual({
    above: null,
    below: null,
  });
});

describe('the sets are shuffled, capped, deduplicated on the first turn, and shuffled again', () => {
  const row = (id: string, first = id): TrainingRow => ({
    id,
    messages: [
      { role: 'user', content: first },
      { role: 'assistant', content: `from ${id}` },
    ],
  });
  const rows = (prefix: string, length: number) =>
    Array.from({ length }, (_, index) => row(`${prefix}${index}`));
  const none = { refine: [], above: [], below: [], fail: [], pass: [] };
  const idsOf = (all: readonly TrainingRow[]) => all.map(({ id }) => id);

  test('the caps of the paper', () => {
    expect(defaultCaps).toEqual({ refine: 4000, above: 1500, below: 1000, fail: 500, pass: 2500 });
  });

  test('no set has more rows than its cap', () => {
    const sets = { ...none, refine: rows('a', 9), pass: rows('c', 9) };
    const ids = idsOf(assemble(sets, { ...defaultCaps, refine: 2, pass: 3 }, chance));
    expect(ids.filter((id) => id.startsWith('a'))).toHaveLength(2);
    expect(ids.filter((id) => id.startsWith('c'))).toHaveLength(3);
  });

  test.each<[SetName, SetName]>([
    ['refine', 'above'],
    ['above', 'below'],
    ['below', 'fail'],
    ['fail', 'pass'],
  ])('of equal first turns the one in %s stays, not the one in %s', (first, second) => {
    const sets = { ...none, [second]: [row('second', 'same')], [first]: [row('first', 'same')] };
    expect(idsOf(assemble(sets, defaultCaps, chance))).toEqual(['first']);
  });

  test('a set is deduplicated in itself, after its cap', () => {
    const same = { ...none, pass: [row('x', 'same'), row('y', 'same'), row('z')] };
    expect(assemble(same, defaultCaps, chance)).toHaveLength(2);
    // Capped first: equal rows take up places.
    const capped = { ...none, pass: [row('x', 'same'), row('y', 'same')] };
    expect(assemble(capped, { ...defaultCaps, pass: 1 }, chance)).toHaveLength(1);
  });

  const sets = { ...none, refine: rows('a', 6), below: rows('b', 6), pass: rows('c', 6) };

  test.prop([fc.shuffledSubarray(sets.refine, { minLength: 6 }), fc.integer()])(
    'the result does not depend on the order of the rows',
    (refine, seed) => {
      const caps = { ...defaultCaps, refine: 3 };
      const order = chanceOf(seed, '1', '');
      expect(assemble({ ...sets, refine }, caps, order)).toEqual(assemble(sets, caps, order));
    },
  );

  test('what was capped hard does not come first', () => {
    const capped = { ...none, refine: rows('a', 60), pass: rows('c', 6) };
    const firsts = Array.from(
      { length: 100 },
      (_, seed) =>
        assemble(capped, { ...defaultCaps, refine: 6 }, chanceOf(seed, '1', ''))[0]?.id[0],
    );
    // Half of a hundred, with five standard deviations above.
    expect(firsts.filter((first) => first === 'a').length).toBeLessThan(75);
  });

  test('the sets are mixed, by the seed', () => {
    const mixed = (seed: number) => idsOf(assemble(sets, defaultCaps, chanceOf(seed, '1', '')));
    expect(mixed(1)).not.toEqual(mixed(2));
    expect(
      mixed(1)
        .map((id) => id[0])
        .join(''),
    ).not.toMatch(/^a+b+c+$/);
    expect(mixed(1).toSorted()).toEqual(idsOf(Object.values(sets).flat()).toSorted());
  });
});

describe('the actor learns from some of the responses that passed', () => {
  const judged = (verdicts: readonly ('pass' | 'fail' | 'tie')[], texts: readonly string[]) => ({
    responses: texts.map((text, index) => ({
      index,
      text,
      reasoning: null,
      finish_reason: 'stop',
    })),
    judged: verdicts.map((verdict, index) => ({
      ...{ index, verdict, critique: null, votes: [] },
      ...{ judged_by: 'model' as const, checks: [] },
    })),
  });
  const taken = (limit: number, record: ReturnType<typeof judged>, seed = 1) =>
    passingResponses(record, limit, chanceOf(seed, '1', 'a')).map(({ index }) => index);

  test('never from one that failed or tied', () => {
    expect(taken(9, judged(['fail', 'pass', 'tie'], ['a', 'b', 'c']))).toEqual([1]);
  });

  test('at most so many, which ones is a matter of chance', () => {
    const all = judged(Array(8).fill('pass'), Array.from('abcdefgh'));
    const seeds = Array.from({ length: 20 }, (_, seed) => taken(1, all, seed));
    expect(seeds.every((found) => found.length === 1)).toBe(true);
    expect(new Set(seeds.flat()).size).toBeGreaterThan(3);
    expect(taken(0, all)).toEqual([]);
  });
});

describe('the steps of a path that made a response better', () => {
  const steps = (...values: readonly number[]) =>
    improvingSteps(
      values.map((value, depth) => ({ node_id: `n${depth}`, value }) as unknown as PathNode),
    ).map(({ parent, child }) => `${parent.node_id} ${child.node_id}`);

  test.each<readonly [string, readonly number[], readonly string[]]>([
    ['every one that rose', [0, 0.4, 0.8], ['n0 n1', 'n1 n2']],
    ['none that fell', [0.4, 0.2, 0.8], ['n1 n2']],
    ['none that stayed', [0, 0, 1], ['n1 n2']],
    ['nothing in a root alone', [0], []],
    ['nothing in nothing', [], []],
  ])('%s', (_name, values, expected) => {
    expect(steps(...values)).toEqual(expected);
  });
});
