import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Journal, JournalEntry } from '../../infra/journal/journal.ts';

type OpenJournal = () => Promise<{ journal: Journal; dispose: () => Promise<void> }>;

export const drawId = (number: number): string => number.toString(16).padStart(32, '0');

export const entry = (text: string): JournalEntry => ({
  choice: { text, reasoning: null, finish_reason: 'stop' },
  spend: {
    calls: 1,
    generations: 1,
    prompt_tokens: 10,
    completion_tokens: 5,
    tokens_estimated: false,
    cost: 0.5,
  },
});

/** The specification of the journal: every adapter passes it. */
export function journalContract(name: string, open: OpenJournal): void {
  describe(`${name} is a journal`, () => {
    let journal: Journal;
    let dispose: () => Promise<void>;
    beforeEach(async () => {
      ({ journal, dispose } = await open());
    });
    afterEach(() => dispose());

    const put = (numbers: readonly number[], text = 'text', counters = {}) =>
      journal.put(
        'i',
        numbers.map((number) => ({ id: drawId(number), ...entry(`${text} ${number}`) })),
        counters,
      );

    test('finds what was put, in the order in which it is asked for, and null for the rest', async () => {
      await put([1, 2, 3]);
      await put([4]);
      expect(journal.find([4, 9, 3, 1].map(drawId))).toEqual([
        entry('text 4'),
        null,
        entry('text 3'),
        entry('text 1'),
      ]);
      expect(journal.find([])).toEqual([]);
    });

    test('a draw keeps its first entry', async () => {
      await put([1], 'first');
      await put([1, 2], 'second');
      expect(journal.find([1, 2].map(drawId))).toEqual([entry('first 1'), entry('second 2')]);
    });

    test('an entry comes back whole: thoughts, quotes, other scripts', async () => {
      const whole = {
        ...entry('"quoted"\n\u0000 日本語 🦜'),
        choice: { text: '', reasoning: '<think>…', finish_reason: 'length' },
      };
      await journal.put('i', [{ id: drawId(1), ...whole }], {});
      expect(journal.find([drawId(1)])).toEqual([whole]);
    });

    test('counters add up, of each iteration by itself, whether put or counted', async () => {
      await put([1], 'text', { calls: 1, cost: 0.5 });
      journal.count('i', { calls: 2, 'retries.429': 1 });
      journal.count('other', { calls: 7 });
      expect(journal.counters('i')).toEqual({ calls: 3, cost: 0.5, 'retries.429': 1 });
      expect(journal.counters('other')).toEqual({ calls: 7 });
      expect(journal.counters('none')).toEqual({});
    });

    test('a note is replaced by the next one', async () => {
      expect(journal.note('probe')).toBeNull();
      await journal.setNote('probe', '{"n":true}');
      await journal.setNote('probe', '{"n":false}');
      expect(journal.note('probe')).toBe('{"n":false}');
    });
  });
}
