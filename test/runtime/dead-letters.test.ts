import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { deadLetter } from '../../infra/runtime/dead-letters.ts';
import type { LogRecord, NewRecord } from '../../infra/log/log.ts';
import type { DeadLetter, Outcome } from '../../schemas/records.ts';
import { topics } from '../../topology/topics.ts';
import { recordsOf } from '../schemas/records.ts';
import { memoryHome } from '../support/home.ts';

const { serde, pipeline } = await memoryHome();
// From here on both are known, and read at once.
for (const topic of [topics.deadLetters, topics.outcomes]) {
  const [one] = fc.sample(recordsOf(topic.schema), 1);
  await serde.decode(topic.schema, serde.encode(topic, one));
}
const mebibyte = 1024 * 1024;

/** What is left of a record that came with this key, these headers and this value. */
function left(
  change: Partial<Pick<LogRecord, 'key' | 'headers' | 'value'>>,
  ends: 'instruction' | 'tree' = 'tree',
): readonly NewRecord[] {
  const record: LogRecord = {
    ...{ topic: 'spar.search.expand', partition: 1, offset: 7, timestamp: 0 },
    ...{ key: '1/i/0', headers: { iteration: '1' }, value: Buffer.from('junk') },
    ...change,
  };
  const where = {
    ...{ name: 'expand', step: { from: topics.expand, ends }, pipeline, serde, iteration: null },
  };
  return deadLetter(where, record, null, { code: 'decode', message: 'no such', attempts: 1 });
}

const rowsOf = ([letter, ...outcomes]: readonly NewRecord[]) => ({
  letter: serde.decode('dead_letter', letter!.value) as DeadLetter,
  outcomes: outcomes.map(({ value }) => serde.decode('outcome', value) as Outcome),
});

test('a record leaves its bytes, and the outcome of what its key names', () => {
  const { letter, outcomes } = rowsOf(left({ headers: { iteration: '1', trees: '3' } }));
  expect(letter).toMatchObject({ id: 'search.expand/1/7', key: '1/i/0', cause: 'decode' });
  expect(letter.value.toString()).toBe('junk');
  expect(outcomes).toMatchObject([{ id: '1/i/0', tree: 0, trees: 3, outcome: 'failed' }]);
});

describe('headers and keys may say anything', () => {
  test.each(['many', '1.5', '-1', '0', '99999999999', ''])('trees: %j is one', (trees) => {
    const { outcomes } = rowsOf(left({ headers: { iteration: '1', trees } }));
    expect(outcomes).toMatchObject([{ id: '1/i/0', trees: 1 }]);
  });

  test.each(['99999999999', '1e15'])('revision: %j is none', (revision) => {
    const [letter] = left({ headers: { iteration: '1', revision } });
    expect(rowsOf([letter!]).letter.revision).toBe(0);
    expect(letter!.headers).not.toHaveProperty('revision');
  });

  test.each(['1/i', '1/i/', '1/i/x', '1/i/99999999999', '1/i/1.5', '1/i/-1', '1', '', null])(
    'the key %j names no tree',
    (key) => {
      const { letter, outcomes } = rowsOf(left({ key }));
      expect(letter.key).toBe(key);
      expect(outcomes).toEqual([]);
    },
  );

  test('a trace that is endless is not carried on', () => {
    const own = '0123456789abcdef0123456789abcdef';
    expect(left({ headers: { iteration: '1', trace: own } })[0]!.headers['trace']).toBe(own);
    const other = left({ headers: { iteration: '1', trace: 'x'.repeat(mebibyte) } });
    expect(other[0]!.headers['trace']).toMatch(/^[0-9a-f]{32}$/);
  });

  test.each([
    ['iteration', { headers: { iteration: 'x'.repeat(mebibyte) } }],
    ['key', { key: `1/${'x'.repeat(mebibyte)}/0` }],
  ])('%s that is endless is nobody’s, and is not copied', (_name, change) => {
    const records = left(change);
    expect(records).toHaveLength(1);
    expect(JSON.stringify(records[0]!.headers).length).toBeLessThan(1000);
    const { letter } = rowsOf(records);
    expect(letter.value.toString()).toBe('junk');
    expect(letter.error).toMatch(/too long to be kept/);
  });

  test('a header that is endless is left out, and the outcome is there all the same', () => {
    const headers = { iteration: '1', more: '\u0001'.repeat(2 * mebibyte) };
    const { letter, outcomes } = rowsOf(left({ headers }));
    expect(letter).toMatchObject({ key: '1/i/0', headers: '{"iteration":"1"}', iteration: '1' });
    expect(letter.value.toString()).toBe('junk');
    expect(outcomes).toMatchObject([{ id: '1/i/0' }]);
  });

  property.prop([
    fc.dictionary(fc.constantFrom('iteration', 'trees', 'revision', 'trace', 'order'), fc.string()),
    fc.option(
      fc.oneof(
        fc.string(),
        fc.array(fc.string()).map((parts) => parts.join('/')),
      ),
    ),
    fc.uint8Array(),
    fc.constantFrom('instruction' as const, 'tree' as const),
  ])('there is always one dead letter, and at most one outcome', (headers, key, value, ends) => {
    const records = left({ headers, key, value }, ends);
    expect(records.length).toBeLessThanOrEqual(2);
    const { letter } = rowsOf(records);
    expect([...letter.value]).toEqual([...value]);
  });
});

describe('a value', () => {
  test('as large as a record may be is there whole', () => {
    const { letter } = rowsOf(left({ value: Buffer.alloc(8 * mebibyte, 1) }));
    expect(letter.value).toHaveLength(8 * mebibyte);
  });

  test('that no dead letter holds stays where it is, and that is said', () => {
    const { letter, outcomes } = rowsOf(left({ value: Buffer.alloc(20 * mebibyte) }));
    expect(letter).toMatchObject({ topic: 'search.expand', partition: 1, offset: 7 });
    expect(letter.value).toHaveLength(0);
    expect(letter.error).toBe(
      'no such; its value of 20971520 bytes is too large for a dead letter and stays where it was',
    );
    expect(outcomes).toHaveLength(1);
  });
});
