import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { MinHashIndex } from '../../../infra/exports/gates/minhash.ts';
import { gramsOf, wordsOf } from '../../../infra/exports/gates/words.ts';
import { chanceOf } from '../../../infra/runtime/chance.ts';
import type { Message } from '../../../schemas/records.ts';
import { pair } from '../support.ts';
import { allOff, exportedOf, settingsWith } from './support.ts';

const user = (content: string): readonly Message[] => [{ role: 'user', content }];

const only = (duplicates: { readonly exact: boolean; readonly near: number | null }) =>
  settingsWith({ ...allOff, duplicates });

const long = Array.from({ length: 60 }, (_, at) => `word${at}`);
/** The same prompt with one word in the middle changed: 55 of 61 triples stay. */
const changed = (word: string) => [...long.slice(0, 30), word, ...long.slice(31)].join(' ');

describe('prompts that are the same', () => {
  test('leave one instruction, whatever the gaps', async () => {
    const pairs = [
      pair('a', { messages: user('Write  a poem.\n') }),
      pair('b', { messages: user('Write a poem.') }),
      pair('c', { messages: user('write a poem.') }),
      pair('d', { messages: user('Write a poem.'), chosen: 'another', rejected: 'one' }),
    ];
    const { kept, rejected } = await exportedOf({ pairs }, only({ exact: true, near: null }));
    expect(kept).toHaveLength(2);
    expect(kept).toContain('c');
    expect(rejected).toHaveLength(2);
    for (const line of rejected) expect(line).toMatch(/^1\/[abd]\/0: duplicate \(1\/[abd]\/0\)$/);
    expect(new Set(rejected.map((line) => /\((.*)\)/.exec(line)![1])).size).toBe(1);
  });

  test('are no duplicates within one instruction: several trees were asked for', async () => {
    const pairs = [0, 1, 2].map((tree) => pair('a', { id: `1/a/${tree}`, tree }));
    expect((await exportedOf({ pairs }, only({ exact: true, near: 0.8 }))).kept).toHaveLength(3);
  });

  test('count with their roles', async () => {
    const turns = (role: 'system' | 'user'): readonly Message[] => [
      { role, content: 'a' },
      ...user('b'),
    ];
    const pairs = [
      pair('a', { messages: turns('system') }),
      pair('b', { messages: turns('user') }),
    ];
    expect((await exportedOf({ pairs }, only({ exact: true, near: null }))).kept).toHaveLength(2);
  });

  test('are not missed where the other one was left out for another reason', async () => {
    const pairs = [
      pair('a', { messages: user('x'), chosen: '' }),
      pair('b', { messages: user('x') }),
    ];
    const { kept, rejected } = await exportedOf({ pairs }, only({ exact: true, near: null }));
    expect(kept).toEqual(['b']);
    expect(rejected).toEqual(['1/a/0: empty-side (chosen)']);
  });
});

describe('prompts that are nearly the same', () => {
  const pairs = ['a', 'b', 'c'].map((name) => pair(name, { messages: user(changed(name)) }));

  test.each([
    [0.8, 1],
    [0.95, 3],
    [null, 3],
  ])('with %s of their triples in common leave %s', async (near, left) => {
    const { kept, rejected } = await exportedOf({ pairs }, only({ exact: true, near }));
    expect(kept).toHaveLength(left);
    for (const line of rejected) {
      expect(line).toMatch(/^1\/[abc]\/0: near-duplicate \(1\/[abc]\/0 0\.9\d\d\)$/);
    }
  });

  test('are known in a language without gaps', async () => {
    const text = '写一首关于大海的诗要求每一行都以不同的字开头并且不使用任何标点符号';
    const both = [pair('a', { messages: user(text) }), pair('b', { messages: user(`请${text}`) })];
    expect((await exportedOf({ pairs: both }, only({ exact: true, near: 0.9 }))).kept).toHaveLength(
      1,
    );
  });

  test('have few words and other ones, and stay', async () => {
    const few = ['Hi.', 'Hello.', '?', '!'].map((text, at) =>
      pair(`${at}`, { messages: user(text) }),
    );
    // Nothing but marks is no word, so the last two are the same to it.
    expect((await exportedOf({ pairs: few }, only({ exact: true, near: 0.8 }))).kept).toHaveLength(
      3,
    );
  });
});

describe('the index', () => {
  const chance = chanceOf(7, 'export', '');
  const triples = (text: string) => gramsOf(wordsOf(text), 3);

  property.prop([fc.constantFrom(0.5, 0.6, 0.7, 0.8, 0.9), fc.integer({ min: 0, max: 1000 })], {
    numRuns: 30,
  })('finds nearly all that are at the threshold', (threshold, seed) => {
    // Two sets of 200 grams of which the threshold's share of the union is common to both.
    const common = Math.ceil((2 * 200 * threshold) / (1 + threshold));
    const grams = (name: string) =>
      Array.from({ length: 200 }, (_, at) => `${at < common ? 'both' : name} ${seed} ${at}`);
    let found = 0;
    for (let run = 0; run < 20; run += 1) {
      const index = new MinHashIndex(1, threshold, chanceOf(run, 'export', ''));
      index.add(index.signature(grams('one')));
      found += index.similar(index.signature(grams('other'))).length;
    }
    expect(found).toBeGreaterThanOrEqual(17);
  });

  test('brings up hardly any that have nothing in common', () => {
    const index = new MinHashIndex(500, 0.8, chance);
    const signatures = Array.from({ length: 500 }, (_, at) =>
      index.signature(triples(long.map((word) => `${word}of${at}`).join(' '))),
    );
    for (const signature of signatures) index.add(signature);
    for (const [at, signature] of signatures.entries()) {
      expect(index.similar(signature)).toEqual([at]);
    }
  });

  test('says the same for the same seed', () => {
    const signature = (seed: number) => [
      ...new MinHashIndex(1, 0.8, chanceOf(seed, 'export', '')).signature(triples('a b c d e')),
    ];
    expect(signature(7)).toEqual(signature(7));
    expect(signature(7)).not.toEqual(signature(8));
  });

  test('refuses more than it can count, and says what to do', () => {
    expect(() => new MinHashIndex(1e9, 0.8, chance)).toThrow(
      'set export.gates.duplicates.near to null',
    );
  });
});
