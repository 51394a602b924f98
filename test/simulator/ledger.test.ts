import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { Ledger, type Ending, type LedgerCall } from '../../infra/simulator/ledger.ts';

const requestOf = (id: string, change: Partial<LedgerCall> = {}) => ({
  id,
  role: 'judge' as const,
  n: 5,
  seed: 1,
  user: null,
  asked_at: 1000,
  prompt_tokens: 10,
  ...change,
});

describe('the ledger', () => {
  test('counts what was asked and what was answered', () => {
    const ledger = new Ledger(10);
    const { call } = ledger.asked(requestOf('a'));
    expect(ledger.summary().roles.judge).toMatchObject({ asked: 1, answered: 0, under_way: 1 });
    ledger.ended(call, 'answered', { answered_at: 1005, generations: 5, completion_tokens: 70 });
    // The connection closes after the answer was sent; that is no second ending.
    ledger.ended(call, 'gone');
    expect(ledger.summary().roles.judge).toMatchObject({
      asked: 1,
      answered: 1,
      under_way: 0,
      gone: 0,
      generations: 5,
      prompt_tokens: 10,
      completion_tokens: 70,
    });
    expect([...ledger.calls()]).toMatchObject([{ id: 'a', ending: 'answered', answered_at: 1005 }]);
  });

  test('a call is repeated if the same was answered before, not if it only was asked', () => {
    const ledger = new Ledger(10);
    const first = ledger.asked(requestOf('a'));
    const second = ledger.asked(requestOf('a'));
    expect([first.before, second.before, second.call.repeated]).toEqual([0, 1, false]);
    ledger.ended(first.call, 'answered');
    const third = ledger.asked(requestOf('a'));
    expect([third.before, third.call.repeated]).toEqual([2, true]);
    expect(ledger.summary().total.repeated).toBe(1);
  });

  test('garbage costs tokens if it said so, and is no answer', () => {
    const ledger = new Ledger(10);
    ledger.ended(ledger.asked(requestOf('a')).call, 'garbage', { completion_tokens: 30 });
    ledger.ended(ledger.asked(requestOf('b')).call, 'garbage');
    expect(ledger.summary().total).toMatchObject({
      answered: 0,
      completion_tokens: 0,
      unusable: { answered: 1, prompt_tokens: 10, completion_tokens: 30 },
      faults: { garbage: 2 },
    });
  });

  test('beyond its bound an id is forgotten, the oldest first: its next request is a first one', () => {
    const ledger = new Ledger(2);
    for (const id of 'abc') ledger.ended(ledger.asked(requestOf(id)).call, 'answered');
    expect(ledger.asked(requestOf('c'))).toMatchObject({ before: 1, call: { repeated: true } });
    expect(ledger.asked(requestOf('a'))).toMatchObject({ before: 0, call: { repeated: false } });
  });

  test('beyond its bound the oldest calls are dropped, and it says so; the sums stay', () => {
    const ledger = new Ledger(3);
    for (const id of 'abcdefgh') ledger.ended(ledger.asked(requestOf(id)).call, 'answered');
    expect([...ledger.calls()].map(({ id }) => id)).toEqual(['f', 'g', 'h']);
    expect(ledger.summary()).toMatchObject({
      calls: { kept: 3, dropped: 5 },
      total: { asked: 8, answered: 8 },
    });
  });

  property.prop([
    fc.array(
      fc.record({
        role: fc.constantFrom('probe', 'sample', 'judge', 'refine'),
        ending: fc.constantFrom<Ending | null>(
          ...([null, 'answered', 'refused', 'full', 'gone', 'rate_limited'] as const),
          ...(['server_error', 'hang', 'cut', 'garbage'] as const),
        ),
      }),
    ),
  ])('every call is in exactly one place', (calls) => {
    const ledger = new Ledger(1000);
    for (const { role, ending } of calls) {
      const { call } = ledger.asked(requestOf('a', { role }));
      if (ending) ledger.ended(call, ending);
    }
    const { roles, total } = ledger.summary();
    for (const sums of [...Object.values(roles), total]) {
      const faults = Object.values(sums.faults).reduce((sum, count) => sum + count, 0);
      const { answered, full, refused, gone, under_way } = sums;
      expect(answered + full + refused + gone + under_way + faults).toBe(sums.asked);
    }
    expect(total.asked).toBe(calls.length);
  });
});
