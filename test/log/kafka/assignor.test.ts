import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { assign, type Member } from '../../../infra/log/kafka/assignor.ts';

const namesOf = (count: number) => Array.from({ length: count }, (_, index) => `m${index}`);
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

/** Up to 60 partitions, and members that claim whatever they like, also what others claim or what is not there. */
const anyGroup = fc.integer({ min: 0, max: 60 }).chain((partitions) =>
  fc.record({
    partitions: fc.constant(numbers(partitions)),
    members: fc
      .array(fc.array(fc.integer({ min: 0, max: partitions + 3 })), { minLength: 1, maxLength: 12 })
      .map((all) => all.map((held, index): Member => ({ id: `m${index}`, held }))),
  }),
);

/** The same, where nobody claims what another one has. */
const honestGroup = fc.integer({ min: 1, max: 12 }).chain((count) =>
  fc
    // -1: nobody has it.
    .array(fc.integer({ min: -1, max: count - 1 }), { maxLength: 60 })
    .map((owners) => ({
      partitions: owners.map((_, partition) => partition),
      members: namesOf(count).map((id, index): Member => ({
        id,
        held: owners.flatMap((owner, partition) => (owner === index ? [partition] : [])),
      })),
    })),
);

/** A group as an earlier assignment has left it. */
const settledGroup = anyGroup.map(({ partitions, members }) => ({
  partitions,
  members: heldAfter(assign(members, partitions)),
}));

const heldAfter = (assigned: ReadonlyMap<string, readonly number[]>): readonly Member[] =>
  [...assigned].map(([id, held]) => ({ id, held }));

property.prop([anyGroup])(
  'every partition goes to exactly one member',
  ({ members, partitions }) => {
    const given = [...assign(members, partitions).values()].flat();
    expect(given.toSorted((one, other) => one - other)).toEqual(partitions);
  },
);

property.prop([anyGroup])('nobody has two more than another', ({ members, partitions }) => {
  const counts = [...assign(members, partitions).values()].map(({ length }) => length);
  expect(counts).toHaveLength(members.length);
  expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
});

property.prop([anyGroup, fc.array(fc.nat(), { minLength: 12, maxLength: 12 })])(
  'the order in which members and partitions are named does not matter',
  ({ members, partitions }, keys) => {
    const shuffled = <Item>(items: readonly Item[]): readonly Item[] =>
      items
        .map((item, index) => ({ item, key: keys[index % keys.length] ?? 0 }))
        .toSorted((one, other) => one.key - other.key)
        .map(({ item }) => item);
    const others = shuffled(members.map(({ id, held }) => ({ id, held: shuffled(held) })));
    expect(assign(others, shuffled(partitions))).toEqual(assign(members, partitions));
  },
);

property.prop([honestGroup])(
  'as much stays where it is as an even share lets',
  ({ members, partitions }) => {
    const assigned = assign(members, partitions);
    const kept = members.reduce(
      (sum, { id, held }) =>
        sum + held.filter((partition) => assigned.get(id)?.includes(partition)).length,
      0,
    );
    const least = Math.floor(partitions.length / members.length);
    const larger = members.filter(({ held }) => held.length > least).length;
    expect(kept).toBe(
      members.reduce((sum, { held }) => sum + Math.min(held.length, least), 0) +
        Math.min(larger, partitions.length % members.length),
    );
  },
);

property.prop([settledGroup])('what is even stays as it is', ({ members, partitions }) => {
  expect(heldAfter(assign(members, partitions)).toSorted(byId)).toEqual(members.toSorted(byId));
});

property.prop([settledGroup])(
  'to one who comes others give, and nothing else moves',
  ({ members, partitions }) => {
    const assigned = assign([...members, { id: 'new', held: [] }], partitions);
    for (const { id, held } of members) {
      expect(held).toEqual(expect.arrayContaining([...(assigned.get(id) ?? [])]));
    }
  },
);

property.prop([settledGroup])(
  'what one who goes had others get, and nothing else moves',
  ({ members: [gone, ...members], partitions }) => {
    if (!gone || members.length === 0) return;
    const assigned = assign(members, partitions);
    for (const { id, held } of members) {
      expect(assigned.get(id)).toEqual(expect.arrayContaining([...held]));
    }
  },
);

test('of two that claim the same, one keeps it: the other one was away', () => {
  const assigned = assign(
    [
      { id: 'b', held: [0, 1] },
      { id: 'a', held: [0, 1] },
    ],
    [0, 1, 2, 3],
  );
  expect([...assigned]).toEqual([
    ['a', [0, 1]],
    ['b', [2, 3]],
  ]);
});

const byId = (one: Member, other: Member): number => (one.id < other.id ? -1 : 1);
