import { describe, expect, test } from 'vitest';
import type { Settings } from '../../processors/settings.ts';
import type { Instruction } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { topics } from '../../topology/topics.ts';
import { drive } from '../support/drive.ts';
import { refined, script, settingsWith, type Script } from '../support/script.ts';

/**
 * The search decision by decision: the model says what the script says, and exactly these calls are made, these
 * nodes come out, and the tree ends like this. `bad` is the one response; its tree is refined.
 */
const instruction: Instruction = {
  id: 'a',
  messages: [{ role: 'user', content: 'Write a haiku.' }],
  constraints: [],
  judge_by: null,
  source: 'test',
  extra: '{}',
  source_line: 1,
  responses: ['bad'],
  added_at: 0,
};

async function search(lines: Script, changes: Partial<Settings['search']> = {}) {
  const model = script({ 'judge 0': 'nnnnn', ...lines });
  const driven = await drive(dataflow, topics.instructions, [instruction], {
    settings: settingsWith({ search: changes }),
    model,
  });
  const nodes = driven.of(topics.nodes);
  return {
    calls: model.calls.slice(1),
    unasked: model.unasked(),
    nodes: nodes.map(({ node_id, state, value, equal_to }) =>
      [node_id, value ?? state, ...(equal_to === null ? [] : [equal_to])].join(' '),
    ),
    whole: nodes,
    pairs: driven
      .of(topics.pairs)
      .map(({ node_id, chosen, rejected }) => ({ node_id, chosen, rejected })),
    outcomes: driven.of(topics.outcomes),
    requests: model.requests.slice(1),
  };
}

/** A refiner and judge line for each child: text and votes. */
const children = (
  parent: string,
  ...lines: readonly (readonly [text: string, votes: string])[]
): Script =>
  Object.fromEntries(
    lines.flatMap(([text, votes], child): [string, string][] => [
      [`refiner 0/${parent}.${child}`, refined(text)],
      ...(votes === '' ? [] : [[`judge 0/${parent}.${child}`, votes] as [string, string]]),
    ]),
  );

const ask = (role: 'refiner' | 'judge', parent: string): readonly string[] =>
  [0, 1, 2].map((child) => `${role} 0/${parent}.${child}`);

describe('breadth-first', () => {
  test('the best child of the first level above the gate ends the tree: 2/3 before 3/5', async () => {
    const { calls, nodes, pairs, outcomes, unasked } = await search(
      children('r', ['one', 'yyynn'], ['two', 'yyn??'], ['three', 'nnnnn']),
    );
    expect(calls).toEqual([...ask('refiner', 'r'), ...ask('judge', 'r')]);
    expect(nodes).toEqual(['r.0 0.6', `r.1 ${2 / 3}`, 'r.2 0']);
    expect(pairs).toEqual([{ node_id: 'r.1', chosen: 'two', rejected: 'bad' }]);
    expect(outcomes).toMatchObject([
      { id: '1/a/0', outcome: 'paired', tree: 0, trees: 1, evaluated: 3 },
    ]);
    expect(unasked).toEqual([]);
  });

  test('a whole level is refined, then judged; the best two go on, in rank order', async () => {
    const { calls, nodes, pairs } = await search({
      ...children('r', ['a', 'ynnnn'], ['b', 'nnnnn'], ['c', 'yynnn']),
      ...children('r.2', ['d', 'yyynn'], ['e', 'nnnnn'], ['f', 'nnnnn']),
      ...children('r.0', ['g', 'nnnnn'], ['h', 'yyyyn'], ['i', 'nnnnn']),
    });
    expect(calls).toEqual([
      ...ask('refiner', 'r'),
      ...ask('judge', 'r'),
      ...ask('refiner', 'r.2'),
      ...ask('refiner', 'r.0'),
      ...ask('judge', 'r.2'),
      ...ask('judge', 'r.0'),
    ]);
    expect(nodes.slice(3)).toEqual([
      'r.2.0 0.6',
      'r.2.1 0',
      'r.2.2 0',
      'r.0.0 0',
      'r.0.1 0.8',
      'r.0.2 0',
    ]);
    expect(pairs).toEqual([{ node_id: 'r.0.1', chosen: 'h', rejected: 'bad' }]);
  });

  test('after the last level the tree is exhausted, and no pair comes out', async () => {
    const { nodes, pairs, outcomes } = await search(
      {
        ...children('r', ['a', 'nnnnn'], ['b', 'nnnnn'], ['c', 'nnnnn']),
        ...children('r.0', ['d', 'nnnnn'], ['e', 'nnnnn'], ['f', 'nnnnn']),
        ...children('r.1', ['g', 'nnnnn'], ['h', 'nnnnn'], ['i', 'nnnnn']),
      },
      { depth: 2 },
    );
    expect(nodes).toHaveLength(9);
    expect(pairs).toEqual([]);
    expect(outcomes).toMatchObject([{ outcome: 'exhausted', cause: null, evaluated: 9 }]);
  });
});

describe('depth-first', () => {
  const strategy = { strategy: 'depth-first' } as const;

  test('descends into the better child first, and the first acceptance wins', async () => {
    const { calls, nodes, pairs } = await search(
      {
        ...children('r', ['a', 'ynnnn'], ['b', 'nnnnn'], ['c', 'yynnn']),
        ...children('r.2', ['d', 'nnnnn'], ['e', 'nnnnn'], ['f', 'yyynn']),
      },
      strategy,
    );
    expect(calls).toEqual([
      ...ask('refiner', 'r'),
      ...ask('judge', 'r'),
      ...ask('refiner', 'r.2'),
      ...ask('judge', 'r.2'),
    ]);
    expect(nodes.at(-1)).toBe('r.2.2 0.6');
    expect(pairs).toEqual([{ node_id: 'r.2.2', chosen: 'f', rejected: 'bad' }]);
  });

  test('goes back up to the second kept child when the first leads nowhere', async () => {
    const { calls, pairs } = await search(
      {
        ...children('r', ['a', 'ynnnn'], ['b', 'nnnnn'], ['c', 'yynnn']),
        ...children('r.2', ['d', 'nnnnn'], ['e', 'nnnnn'], ['f', 'nnnnn']),
        ...children('r.0', ['g', 'yyyyy'], ['h', 'yyyyy'], ['i', 'nnnnn']),
      },
      { ...strategy, depth: 2 },
    );
    expect(calls.slice(12)).toEqual([...ask('refiner', 'r.0'), ...ask('judge', 'r.0')]);
    expect(pairs).toEqual([{ node_id: 'r.0.0', chosen: 'g', rejected: 'bad' }]);
  });
});

describe('equal texts', () => {
  test('are judged once: an equal child takes over value and critique, and counts', async () => {
    const { calls, nodes, whole, outcomes } = await search(
      children('r', ['same', 'yyynn'], [' same ', ''], ['other', 'nnnnn']),
    );
    expect(calls.slice(3)).toEqual(['judge 0/r.0', 'judge 0/r.2']);
    expect(nodes).toEqual(['r.0 0.6', 'r.1 0.6 r.0', 'r.2 0']);
    expect(whole[1]).toMatchObject({ critique: whole[0]?.critique, votes: [], rounds: 0 });
    expect(outcomes[0]?.evaluated).toBe(3);
  });

  test('can take both kept places', async () => {
    const { calls } = await search({
      ...children('r', ['x', 'nnnnn'], ['same', 'yynnn'], ['same', '']),
      ...children('r.1', ['y', 'yyyyy'], ['z', 'nnnnn'], ['u', 'nnnnn']),
      ...children('r.2', ['v', 'nnnnn'], ['w', 'nnnnn'], ['t', 'nnnnn']),
    });
    expect(calls.slice(5, 11)).toEqual([...ask('refiner', 'r.1'), ...ask('refiner', 'r.2')]);
  });

  test('are found across levels and below other parents', async () => {
    const { nodes, outcomes } = await search(
      {
        ...children('r', ['a', 'yynnn'], ['b', 'ynnnn'], ['c', 'nnnnn']),
        ...children('r.0', ['c', ''], ['a', ''], ['d', 'nnnnn']),
        ...children('r.1', ['d', ''], ['e', 'nnnnn'], ['c', '']),
      },
      { depth: 2 },
    );
    expect(nodes.slice(3)).toEqual([
      'r.0.0 0 r.2',
      'r.0.1 0.4 r.0',
      'r.0.2 0',
      'r.1.0 0 r.0.2',
      'r.1.1 0',
      'r.1.2 0 r.2',
    ]);
    expect(outcomes[0]?.evaluated).toBe(9);
  });

  test('the root does not count: its own text is judged when it comes again', async () => {
    const { calls, nodes } = await search(
      children('r', ['bad', 'yyyyy'], ['bad', ''], ['other', 'nnnnn']),
    );
    expect(calls).toContain('judge 0/r.0');
    expect(nodes).toEqual(['r.0 1', 'r.1 1 r.0', 'r.2 0']);
  });

  test('that were left undecided are judged afresh, in the level and below', async () => {
    const tied = (node: string) => ({
      [`judge 0/${node}`]: 'yynn?',
      [`judge 0/${node}#1`]: '?????',
      [`judge 0/${node}#2`]: 'yynn?',
    });
    const { calls, nodes } = await search({
      ...children('r', ['same', ''], ['same', ''], ['b', 'ynnnn']),
      ...tied('r.0'),
      ...tied('r.1'),
      ...children('r.2', ['same', 'yyyyy'], ['d', 'nnnnn'], ['same', '']),
    });
    expect(nodes).toEqual([
      'r.0 undecided',
      'r.1 undecided',
      'r.2 0.2',
      'r.2.0 1',
      'r.2.1 0',
      'r.2.2 1 r.2.0',
    ]);
    // One after the other: the second is only asked because the first stayed undecided.
    expect(calls.indexOf('judge 0/r.1')).toBeGreaterThan(calls.indexOf('judge 0/r.0#2'));
  });

  test('a later one gets the value that an earlier equal one did not', async () => {
    const { nodes } = await search({
      ...children('r', ['same', 'yynn?'], ['same', 'yyyyy'], ['same', '']),
      'judge 0/r.0#1': 'yynn?',
      'judge 0/r.0#2': 'yynn?',
    });
    expect(nodes).toEqual(['r.0 undecided', 'r.1 1', 'r.2 1 r.1']);
  });
});

describe('a tie is voted again', () => {
  test('and only the deciding round counts', async () => {
    const { nodes, whole } = await search({
      ...children('r', ['a', 'yynn?'], ['b', 'nnnnn'], ['c', 'nnnnn']),
      'judge 0/r.0#1': '????y',
    });
    expect(nodes[0]).toBe('r.0 1');
    expect(whole[0]).toMatchObject({ rounds: 2, critique: expect.stringContaining('#1 vote 4') });
    expect(whole[0]?.votes.map(({ vote }) => vote)).toEqual([
      'invalid',
      'invalid',
      'invalid',
      'invalid',
      'yes',
    ]);
  });

  test('at most three rounds in all, then the child is dropped', async () => {
    const { nodes, calls, outcomes } = await search(
      {
        ...children('r', ['a', '?????'], ['b', 'nnnnn'], ['c', 'nnnnn']),
        'judge 0/r.0#1': 'yn???',
        'judge 0/r.0#2': 'yynn?',
      },
      { depth: 1 },
    );
    expect(nodes).toEqual(['r.0 undecided', 'r.1 0', 'r.2 0']);
    expect(calls.filter((call) => call.startsWith('judge 0/r.0'))).toHaveLength(3);
    // Rounds that decided nothing are paid for, too: the sample's votes, three refinements, three rounds and two.
    expect(outcomes).toMatchObject([{ outcome: 'exhausted', evaluated: 2, calls: 9 }]);
  });
});

describe('an answer that cannot be used', () => {
  const rest = {
    'refiner 0/r.1': refined('b'),
    'refiner 0/r.2': refined('c'),
    'judge 0/r.1': 'nnnnn',
    'judge 0/r.2': 'nnnnn',
  };

  /** Answers of the first child, attempt by attempt. */
  const attempts = (...answers: readonly string[]): Script =>
    Object.fromEntries(
      answers.map((answer, attempt) => [
        `refiner 0/r.0${attempt > 0 ? `+${attempt}` : ''}`,
        answer,
      ]),
    );

  test.each<[string, readonly string[]]>([
    ['without [[start]] uses up a call', ['no mark', refined('a')]],
    [
      'without [[start]] three times ends a try, and the next one starts',
      ['x', 'x', 'x', refined('a')],
    ],
    ['with nothing between the marks ends its try', [refined(' '), refined(''), refined('a')]],
    ['may be the last but one of nine', [...Array<string>(8).fill('x'), refined('a')]],
  ])('%s', async (_name, answers) => {
    const { nodes, whole, unasked } = await search({
      ...rest,
      ...attempts(...answers),
      'judge 0/r.0': 'yyyyy',
    });
    expect(nodes[0]).toBe('r.0 1');
    expect(whole[0]?.refine_calls).toBe(answers.length);
    expect(unasked).toEqual([]);
  });

  test.each<[string, readonly string[]]>([
    ['nine without a mark', Array<string>(9).fill('no mark')],
    ['three with nothing between the marks', Array<string>(3).fill(refined(''))],
    ['a mixture', ['x', refined(''), 'x', 'x', 'x', refined('')]],
  ])('%s leave a child without text, and it is dropped', async (_name, answers) => {
    const { nodes, whole, outcomes } = await search(
      { ...rest, ...attempts(...answers) },
      { depth: 1 },
    );
    expect(nodes).toEqual(['r.0 unparsed', 'r.1 0', 'r.2 0']);
    expect(whole[0]).toMatchObject({
      text: null,
      answer: answers.at(-1),
      refine_calls: answers.length,
      votes: [],
    });
    // What the unusable answers cost is counted: all those calls, two other children, three rounds of votes.
    expect(outcomes).toMatchObject([
      { outcome: 'exhausted', evaluated: 2, calls: answers.length + 5 },
    ]);
  });

  test('everywhere leaves a tree without children: exhausted, not lost', async () => {
    const none = Object.fromEntries(
      [0, 1, 2].flatMap((child) =>
        ['', '+1', '+2'].map((attempt) => [`refiner 0/r.${child}${attempt}`, refined('')]),
      ),
    );
    const { nodes, outcomes, pairs } = await search(none);
    expect(nodes).toEqual(['r.0 unparsed', 'r.1 unparsed', 'r.2 unparsed']);
    expect(outcomes).toMatchObject([{ outcome: 'exhausted', evaluated: 0 }]);
    expect(pairs).toEqual([]);
  });
});

test('the refiner sees the parent, its critique and the request; the judge sees the child', async () => {
  const { requests } = await search({
    ...children('r', ['so-so', 'yynnn'], ['b', '?????'], ['c', '?????']),
    ...Object.fromEntries(
      ['r.1', 'r.2'].flatMap((node) =>
        [1, 2].map((round) => [`judge 0/${node}#${round}`, '?????']),
      ),
    ),
    ...children('r.0', ['good', 'yyyyy'], ['b2', 'nnnnn'], ['c2', 'nnnnn']),
  });
  const last = requests.filter(({ role }) => role === 'refiner').at(-1);
  expect(last?.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user']);
  expect(last?.messages[0]?.content).toContain('so-so');
  // The first critique that agrees with the majority: the third vote of r.0 is its first No.
  expect(last?.messages[1]?.content).toContain('judge 0/r.0 vote 2');
  expect(last?.sampling).toMatchObject({ temperature: 0.7, top_p: 1, max_tokens: 3072, stop: [] });
  expect(last?.messages[2]?.content).toContain('[[start]]');
  expect(requests.at(-1)).toMatchObject({
    role: 'judge',
    sampling: { temperature: 0.7, top_p: 1, max_tokens: 2048, stop: [] },
  });
});
