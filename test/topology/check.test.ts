import { describe, expect, test } from 'vitest';
import { check } from '../../topology/check.ts';
import { dataflow, outside } from '../../topology/dataflow.ts';
import { topic, type Dataflow, type Step, type TopicInfo } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';

test('our dataflow is sound', () => {
  expect(check(dataflow, topics, outside)).toEqual([]);
});

test('every topic has a name of its own', () => {
  const names = Object.values(topics).map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
});

const make = (name: string) => topic(name, { schema: 'x', kept: 'forever', about: 'x' });
const [a, b, c] = [make('a'), make('b'), make('c')];
const wire = (from: TopicInfo, to: readonly TopicInfo[], more: Partial<Step> = {}): Step => ({
  ...dataflow.judge,
  from,
  to: Object.fromEntries(to.map((topic) => [topic.name, topic])),
  tables: {},
  bound: null,
  ...more,
});
const ends = {
  writes: [{ topic: a, by: 'sources' }],
  reads: [{ topic: c, by: 'exports' }],
};
const sound: Dataflow = { one: wire(a, [b]), two: wire(b, [c]) };

describe('a problem is named', () => {
  test.each<[string, readonly string[], Dataflow, readonly TopicInfo[], typeof ends]>([
    ['none', [], sound, [a, b, c], ends],
    [
      'a topic that nothing writes',
      ['topic a: nothing writes it'],
      sound,
      [a, b, c],
      { ...ends, writes: [] },
    ],
    [
      'a topic that nothing reads',
      ['topic c: nothing reads it'],
      sound,
      [a, b, c],
      { ...ends, reads: [] },
    ],
    [
      'a topic that nothing touches',
      ['topic d: nothing writes it', 'topic d: nothing reads it'],
      sound,
      [a, b, c, make('d')],
      ends,
    ],
    [
      'a topic of another pipeline',
      ['step two: c is not a topic of the pipeline'],
      sound,
      [a, b],
      ends,
    ],
    [
      'a table of another pipeline',
      ['step two: d is not a topic of the pipeline'],
      { ...sound, two: wire(b, [c], { tables: { d: make('d') } }) },
      [a, b, c],
      ends,
    ],
    [
      'a loop without a bound',
      ['steps two, three: their loop has no bound'],
      { ...sound, two: wire(b, [c]), three: wire(c, [b]), four: wire(c, []) },
      [a, b, c],
      ends,
    ],
    [
      'a step that feeds itself',
      ['steps two: their loop has no bound'],
      { ...sound, two: wire(b, [b, c]) },
      [a, b, c],
      ends,
    ],
    [
      'no loop where one of its steps has a bound',
      [],
      { ...sound, three: wire(c, [b], { bound: 'search.depth' }) },
      [a, b, c],
      ends,
    ],
    [
      'no loop where a step only looks its own output up',
      [],
      { ...sound, two: wire(b, [c], { tables: { c } }) },
      [a, b, c],
      ends,
    ],
  ])('%s', (_name, problems, flow, all, outsiders) => {
    expect(check(flow, Object.fromEntries(all.map((one) => [one.name, one])), outsiders)).toEqual(
      problems,
    );
  });

  test('the search loop without its depth gate', () => {
    const open = { ...dataflow, evaluate: { ...dataflow.evaluate, bound: null } };
    expect(check(open, topics, outside)).toEqual([
      'steps expand, evaluate: their loop has no bound',
    ]);
  });
});
