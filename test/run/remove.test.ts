import { expect, test } from 'vitest';
import { copy } from '../../infra/run/copy.ts';
import {
  decide,
  decisionOn,
  hasInstruction,
  instructionTarget,
  pairTarget,
} from '../../infra/run/remove.ts';
import { systemTime } from '../../infra/time.ts';
import { partitionOf } from '../../topology/partition.ts';
import { topics } from '../../topology/topics.ts';
import type { Removal } from '../../schemas/records.ts';
import { pair } from '../exports/support.ts';
import { recordsOf } from '../runtime/support.ts';
import { memoryHome } from '../support/home.ts';

const out = { removed: true, who: 'ada', why: 'wrong' };

test.each([
  ['a plain id', 'a', 'instruction/a', 'pair/a/1/0'],
  ['an id with parts of its own', 'x/1%', 'instruction/x%2F1%25', 'pair/x%2F1%25/1/0'],
])('the key names what it is about, and the instruction second: %s', (_name, id, first, second) => {
  expect(instructionTarget(id).id).toBe(first);
  const full = second.replace('pair/', '').split('/');
  expect(pairTarget({ ...pair('a'), id: `1/${full[0]!}/0`, instruction_id: id }).id).toBe(second);
});

test('the latest decision holds', async () => {
  const home = await memoryHome();
  const target = instructionTarget('a');
  expect(await decisionOn(home, target)).toBeNull();
  await decide(home, target, out, systemTime);
  await decide(home, target, { removed: false, who: 'bob', why: 'right' }, systemTime);
  expect(await decisionOn(home, target)).toMatchObject({ removed: false, who: 'bob' });
  expect(await decisionOn(home, pairTarget(pair('a')))).toBeNull();
});

test('it lies where everything about its instruction lies, after a copy, too', async () => {
  const [from, to] = [await memoryHome(), await memoryHome(5)];
  for (const name of ['a', 'b', 'c', 'd']) {
    await decide(from, instructionTarget(name), out, systemTime);
    await decide(from, pairTarget(pair(name)), out, systemTime);
  }
  const signal = new AbortController().signal;
  await copy({ from, to, progress: () => undefined, signal });
  const records = await recordsOf<Removal>(to, topics.removals);
  expect(records).toHaveLength(8);
  for (const { partition, row } of records) {
    expect(partition).toBe(partitionOf(row.instruction_id, 5));
  }
});

test('an instruction is found by its id, whatever key its producer gave it', async () => {
  const home = await memoryHome();
  const row = {
    id: 'mine',
    messages: [{ role: 'user', content: 'a' }],
    constraints: [],
    judge_by: null,
    source: '',
    extra: '{}',
    source_line: 0,
    responses: [],
    added_at: 0,
  } as const;
  await home.log.append([
    {
      topic: 'spar.instructions',
      partition: 0,
      key: 'customer-7',
      headers: {},
      value: home.serde.encode(topics.instructions, row),
    },
  ]);
  expect(await hasInstruction(home, 'mine')).toBe(true);
  expect(await hasInstruction(home, 'customer-7')).toBe(false);
  expect(await hasInstruction(home, 'yours')).toBe(false);
});
