import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  childrenAfter,
  equalNode,
  grow,
  placesIn,
  plant,
  type Grown,
  type Tree,
} from '../../../processors/rules/tree.ts';
import { faithful } from '../../../processors/settings.ts';

type Search = typeof faithful.search;
/** What becomes of a child: its value, or null if it is dropped. */
type Value = number | null;

const breadthFirst: Search = faithful.search;
const depthFirst: Search = { ...faithful.search, strategy: 'depth-first' };

const root = () =>
  plant('bad', { value: 0, yes: 0, no: 5, invalid: 0, critique: 'c r', judged_by: 'model' });

/** One step: every place gets a child, with the value that `valueOf` says. */
function step(tree: Tree, search: Search, valueOf: (node: string) => Value): Grown {
  const answers = placesIn(tree, search).map(({ node_id, parent_id, depth, child }) => {
    const value = valueOf(node_id);
    return {
      candidate: {
        node_id,
        parent_id,
        depth,
        child,
        text: `text ${node_id}`,
        answer: `answer ${node_id}`,
        reasoning: null,
        calls: 1,
      },
      judgement:
        value === null
          ? null
          : {
              value,
              yes: 0,
              no: 0,
              invalid: 0,
              critique: `c ${node_id}`,
              judged_by: 'model' as const,
            },
    };
  });
  return grow(tree, answers, search);
}

interface Run {
  readonly end: Grown;
  /** Which nodes were refined in each step. */
  readonly steps: readonly (readonly string[])[];
  /** Every child, with or without a value. */
  readonly children: number;
}

function run(search: Search, valueOf: (node: string) => Value): Run {
  const steps: string[][] = [];
  let children = 0;
  let grown: Grown = { state: 'open', tree: root() };
  while (grown.state === 'open') {
    const places = placesIn(grown.tree, search);
    steps.push([...new Set(places.map(({ parent_id }) => parent_id))]);
    children += places.length;
    grown = step(grown.tree, search, valueOf);
  }
  return { end: grown, steps, children };
}

const from =
  (values: Readonly<Record<string, Value>>) =>
  (node: string): Value =>
    Object.hasOwn(values, node) ? (values[node] ?? null) : 0;

const accepted = ({ end }: Run) =>
  end.state === 'accepted' ? end.path.at(-1)?.node_id : end.state;

describe('breadth-first, a level at a time', () => {
  test('refines levels of 3, 6 and 6 nodes, then ends', () => {
    const { steps, children, end } = run(breadthFirst, () => 0.2);
    expect(steps).toEqual([['r'], ['r.0', 'r.1'], ['r.0.0', 'r.0.1']]);
    expect(children).toBe(15);
    expect(end.state).toBe('exhausted');
  });

  test.each<[string, Readonly<Record<string, Value>>, string]>([
    ['the best above the gate', { 'r.0': 3 / 5, 'r.1': 2 / 3 }, 'r.1'],
    ['the first of equal ones', { 'r.1': 0.8, 'r.2': 0.8 }, 'r.1'],
    ['not one at the gate', { 'r.0': 0.5 }, 'exhausted'],
    ['a child of the last level', { 'r.0': 0.4, 'r.0.0': 0.4, 'r.0.0.2': 1 }, 'r.0.0.2'],
    ['the best of the level, not of the first parent', { 'r.0.0': 0.6, 'r.1.0': 0.8 }, 'r.1.0'],
    [
      'the child of the better parent among equal ones',
      { 'r.2': 0.4, 'r.2.2': 0.8, 'r.0.0': 0.8 },
      'r.2.2',
    ],
    ['nothing below what was cut', { 'r.0': 0.2, 'r.1': 0.2, 'r.2.0': 1 }, 'exhausted'],
  ])('accepts %s', (_name, values, end) => {
    expect(accepted(run(breadthFirst, from(values)))).toBe(end);
  });

  test('keeps the best two in rank order, equal ones in order of creation', () => {
    expect(run(breadthFirst, from({ 'r.0': 0.1, 'r.1': 0.4, 'r.2': 0.4 })).steps[1]).toEqual([
      'r.1',
      'r.2',
    ]);
    expect(run(breadthFirst, from({ 'r.0': 0.2, 'r.1': 0.1, 'r.2': 0.4 })).steps[1]).toEqual([
      'r.2',
      'r.0',
    ]);
  });
});

describe('depth-first, a node at a time', () => {
  test('refines at most 21 nodes, the kept ones of each node in order', () => {
    const { steps, children } = run(depthFirst, () => 0.2);
    expect(steps.flat()).toEqual(['r', 'r.0', 'r.0.0', 'r.0.1', 'r.1', 'r.1.0', 'r.1.1']);
    expect(children).toBe(21);
  });

  test.each<[string, Readonly<Record<string, Value>>, string]>([
    ['the best child above the gate', { 'r.0': 3 / 5, 'r.1': 2 / 3 }, 'r.1'],
    ['the first it meets, though a better one waits', { 'r.0.0.0': 0.6, 'r.1.0': 1 }, 'r.0.0.0'],
    ['one below the better child first', { 'r.1': 0.4, 'r.1.2': 0.6, 'r.0.0': 1 }, 'r.1.2'],
    ['one of the second branch when the first has none', { 'r.1.1': 0.8 }, 'r.1.1'],
  ])('accepts %s', (_name, values, end) => {
    expect(accepted(run(depthFirst, from(values)))).toBe(end);
  });

  test('a node without children goes back to the next kept one', () => {
    const dead = run(depthFirst, (node) => (node.startsWith('r.0.') ? null : 0.2));
    expect(dead.steps.flat()).toEqual(['r', 'r.0', 'r.1', 'r.1.0', 'r.1.1']);
  });
});

describe.each([
  ['breadth-first', breadthFirst],
  ['depth-first', depthFirst],
])('%s', (_name, search) => {
  test('a root without any child ends the tree', () => {
    const { end, steps } = run(search, () => null);
    expect(steps).toEqual([['r']]);
    expect(end).toMatchObject({ state: 'exhausted', tree: { evaluated: 0, dropped: 3 } });
  });

  test('dropped children are no nodes, and are counted apart', () => {
    const { end } = run(search, from({ 'r.0': null, 'r.1': 1 }));
    expect(end).toMatchObject({ state: 'accepted', tree: { evaluated: 2, dropped: 1 } });
    expect(end.tree.nodes.map(({ node_id }) => node_id)).toEqual(['r', 'r.1', 'r.2']);
  });

  test('never keeps more than branch', () => {
    const { steps } = run({ ...search, branch: 1, keep: 5 }, () => 0.2);
    expect(steps).toEqual([['r'], ['r.0'], ['r.0.0']]);
    const wider = run({ ...search, branch: 2, keep: 5 }, () => 0.2).steps;
    expect(Math.max(...wider.map((parents) => parents.length))).toBeLessThanOrEqual(2);
  });

  test('a level that reaches max_nodes may still accept', () => {
    const limited = { ...search, max_nodes: 3 };
    expect(accepted(run(limited, from({ 'r.1': 0.8 })))).toBe('r.1');
    expect(run(limited, () => 0.2)).toMatchObject({ end: { state: 'exhausted' }, steps: [['r']] });
  });

  test('max_nodes does not count dropped children', () => {
    const limited = { ...search, max_nodes: 3 };
    expect(run(limited, from({ 'r.2': null })).steps).toHaveLength(2);
  });

  test('the gate is a setting', () => {
    const values = from({ 'r.0': 0.6 });
    expect(accepted(run({ ...search, gate: 0.6 }, values))).toBe('exhausted');
    expect(accepted(run({ ...search, gate: 0.2 }, values))).toBe('r.0');
  });

  test('the path goes from the root to the accepted node, whole', () => {
    const { end } = run(search, from({ 'r.0': 0.2, 'r.0.1': 0.9 }));
    expect(end.state === 'accepted' && end.path).toMatchObject([
      { node_id: 'r', parent_id: null, depth: 0, text: 'bad', answer: null, critique: 'c r' },
      { node_id: 'r.0', parent_id: 'r', depth: 1, text: 'text r.0', answer: 'answer r.0' },
      { node_id: 'r.0.1', parent_id: 'r.0', depth: 2, text: 'text r.0.1', answer: 'answer r.0.1' },
    ]);
  });

  test('bodies stay only at the frontier and above it', () => {
    const { tree } = step(root(), search, from({ 'r.0': 0.1, 'r.1': 0.3, 'r.2': 0.2 }));
    const bodies = (grown: Tree) =>
      grown.nodes.flatMap(({ node_id, text }) => (text === null ? [] : [node_id]));
    expect(bodies(tree)).toEqual(['r', 'r.1', 'r.2']);
    expect(tree.nodes.every(({ critique }) => critique !== '')).toBe(true);
  });

  test('equal texts are found by their trimmed text, but never in the root', () => {
    const { tree } = step(root(), search, () => 0.2);
    expect(equalNode(tree, ' text r.2\n')?.node_id).toBe('r.2');
    expect(equalNode(tree, 'bad')).toBeNull();
  });

  const valueFrom = (seed: number) => (node: string) => {
    const draw =
      (Math.imul(seed ^ node.length, 0x9e3779b1) ^
        (Number(node.replace(/\D/g, '') || 0) * 7919)) >>>
      0;
    return draw % 7 === 0 ? null : (draw % 5) / 10;
  };

  test.prop([fc.integer()])('stays within its bounds, whatever the values', (seed) => {
    const { children, end } = run(search, valueFrom(seed));
    expect(children).toBeLessThanOrEqual(search === breadthFirst ? 15 : 21);
    expect(end.tree.evaluated + end.tree.dropped).toBe(children);
    expect(end.tree.nodes).toHaveLength(end.tree.evaluated + 1);
  });
});

test.prop([
  fc.array(fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { nil: null }), {
    minLength: 12,
    maxLength: 12,
  }),
  fc.constantFrom({ branch: 1, keep: 2 }, { branch: 3, keep: 1 }),
  fc.integer({ min: 1, max: 4 }),
])('both strategies agree where only one path exists', (values, shape, depth) => {
  const valueOf = (node: string): Value => {
    const parts = node.split('.');
    return values[(parts.length - 2) * 3 + Number(parts.at(-1))] ?? null;
  };
  const [one, other] = [breadthFirst, depthFirst].map((search) =>
    run({ ...search, ...shape, depth }, valueOf),
  );
  expect(one).toEqual(other);
});

test('a record whose tree is broken is an error, not a circle', () => {
  const { tree } = step(root(), breadthFirst, () => 0.2);
  const circle = tree.nodes.map((node) => ({ ...node, parent_id: 'r.0', text: 'x' }));
  expect(() => step({ ...tree, nodes: circle }, breadthFirst, () => 1)).toThrow(
    'not below its parent',
  );
  expect(() => placesIn({ ...tree, frontier: ['r.9'] }, breadthFirst)).toThrow('no node r.9');
});

describe.each([breadthFirst, depthFirst])('a level in waves, $strategy', (search) => {
  /** What five votes, or three and then two, come to; null for a tie. */
  const votes = fc.constantFrom<Value>(null, 0, 0.2, 0.25, 1 / 3, 0.4, 0.6, 2 / 3, 0.75, 0.8, 1);
  const values = fc.array(votes, { minLength: 64, maxLength: 64 });
  const valuesFrom =
    (drawn: readonly Value[]) =>
    (node: string): Value => {
      const place = node
        .split('.')
        .slice(1)
        .reduce((sum, child) => sum * 3 + Number(child) + 1, 0);
      return drawn[place % drawn.length] ?? null;
    };
  const width = fc.option(fc.integer({ min: 1, max: 7 }), { nil: null });
  const accept = fc.constantFrom('best', 'first-unbeatable', 'first-sure', 'first' as const);

  test.prop([values, width, accept, fc.integer({ min: 1, max: 20 })])(
    'ends as it does at once, whatever their width',
    (drawn, wave, how, max_nodes) => {
      const whole = run({ ...search, accept: how, max_nodes }, valuesFrom(drawn));
      const waves = run({ ...search, accept: how, max_nodes, wave }, valuesFrom(drawn));
      expect(accepted(waves)).toEqual(accepted(whole));
      expect(waves.end.state === 'accepted' && waves.end.path).toEqual(
        whole.end.state === 'accepted' && whole.end.path,
      );
      expect(waves.children).toBeLessThanOrEqual(whole.children);
      if (whole.end.state === 'exhausted') expect(waves.end.tree).toEqual(whole.end.tree);
    },
  );

  test.prop([values, width])('one that cannot be beaten is the best', (drawn, wave) => {
    const best = run(search, valuesFrom(drawn));
    const first = run({ ...search, accept: 'first-unbeatable', wave }, valuesFrom(drawn));
    expect(accepted(first)).toEqual(accepted(best));
  });

  test.prop([values, width])('the first above the gate has none before it', (drawn, wave) => {
    const valueOf = valuesFrom(drawn);
    const { end } = run({ ...search, accept: 'first', wave }, valueOf);
    if (end.state !== 'accepted') return;
    const last = end.path.at(-1)!;
    const before = end.tree.nodes.slice(
      0,
      end.tree.nodes.findIndex(({ node_id }) => node_id === last.node_id),
    );
    expect(last.value).toBeGreaterThan(search.gate);
    expect(before.every(({ value }) => value <= search.gate)).toBe(true);
  });

  test('a sure one is taken before a better one; a less sure one waits for its level', () => {
    const sure = { ...search, accept: 'first-sure' } as const;
    expect(accepted(run(sure, from({ 'r.0': 0.75, 'r.1': 0.8, 'r.2': 1 })))).toBe('r.1');
    expect(accepted(run(sure, from({ 'r.0': 0.6, 'r.1': 0.75, 'r.2': 0.6 })))).toBe('r.1');
    // The gate rules all the same.
    expect(accepted(run({ ...sure, gate: 0.9 }, () => 0.8))).toBe('exhausted');
  });

  test('later children are not even placed', () => {
    const waves = { ...search, accept: 'first', wave: 1 } as const;
    expect(run(waves, from({ 'r.1': 0.6, 'r.2': 1 })).children).toBe(2);
    expect(childrenAfter(root(), 2, waves)).toBe(1);
  });

  test('the tree knows how far its level is, and keeps what may still be chosen', () => {
    const waves = { ...search, wave: 2 };
    const { tree } = step(root(), waves, from({ 'r.0': 0.8, 'r.1': null }));
    expect(tree).toMatchObject({ frontier: ['r'], level_children: 2, evaluated: 1, dropped: 1 });
    expect(placesIn(tree, waves).map(({ node_id }) => node_id)).toEqual(['r.2']);
    expect(accepted({ end: step(tree, waves, from({ 'r.2': 0.6 })), steps: [], children: 3 })).toBe(
      'r.0',
    );
  });
});
