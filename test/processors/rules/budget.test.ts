import { fc, test as laws } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import {
  expected,
  pairsExpected,
  reserved,
  roomIn,
  roomUntil,
} from '../../../processors/rules/budget.ts';

const guess = 100;

describe('what an instruction comes to', () => {
  test.each([
    ['before any has ended, is the guess', { spent: 0, ended: 0, open: 0 }, 100],
    ['rises with what is spent while none ends', { spent: 300, ended: 0, open: 5 }, 400],
    ['is taken from those that ended', { spent: 900, ended: 9, open: 0 }, 100],
    ['is nearly their mean once there are many', { spent: 49_950, ended: 999, open: 0 }, 50.05],
    ['bears what was spent on the open ones', { spent: 500, ended: 1, open: 10 }, 300],
  ])('%s', (_name, account, mean) => {
    expect(expected(account, guess)).toBeCloseTo(mean, 2);
  });
});

describe('the room for further ones', () => {
  test.each([
    ['is the limit by the guess at first', 1000, { spent: 0, ended: 0, open: 0 }, 10],
    ['is less by those that are open', 1000, { spent: 0, ended: 0, open: 4 }, 6],
    ['is never less than none', 1000, { spent: 0, ended: 0, open: 40 }, 0],
    ['is none once all is spent', 1000, { spent: 1000, ended: 20, open: 0 }, 0],
    ['grows as they turn out cheaper', 1000, { spent: 200, ended: 9, open: 3 }, 800 / 30 - 3],
  ])('%s', (_name, limit, account, room) => {
    expect(roomIn(limit, account, guess)).toBeCloseTo(room, 6);
  });

  test('has no end where nothing costs anything', () => {
    expect(roomIn(1000, { spent: 0, ended: 5, open: 1 }, 0)).toBe(Infinity);
  });

  const amount = fc.integer({ min: 0, max: 1_000_000 });
  laws.prop([fc.integer({ min: 1, max: 1_000_000 }), amount, amount, amount])(
    'never lets spent and reserved pass the limit',
    (limit, spent, ended, open) => {
      const room = Math.floor(roomIn(limit, { spent, ended, open }, guess));
      if (room < 1) return;
      const more = { spent, ended, open: open + room };
      expect(spent + reserved(more, guess)).toBeLessThanOrEqual(limit * (1 + 1e-9));
    },
  );
});

describe('the room until a target of pairs', () => {
  test.each([
    ['is one for each pair at first', 20, { spent: 0, ended: 0, open: 0 }, 20],
    ['is none once they are there', 20, { spent: 20, ended: 90, open: 3 }, 0],
    [
      'does not open because the first ones end without a pair',
      20,
      { spent: 0, ended: 10, open: 20 },
      7.1,
    ],
    [
      'is by the share that brings one, once many have ended',
      1010,
      { spent: 1000, ended: 2000, open: 0 },
      19.8,
    ],
  ])('%s', (_name, target, account, room) => {
    expect(roomUntil(target, account)).toBeCloseTo(room, 1);
  });

  const amount = fc.integer({ min: 0, max: 100_000 });
  laws.prop([fc.integer({ min: 1, max: 100_000 }), amount, amount, amount])(
    'is filled when as many pairs as are missing are expected, and never before',
    (target, spent, ended, open) => {
      const account = { spent, ended: ended + spent, open };
      const room = roomUntil(target, account);
      const expectedThen = pairsExpected({ ...account, open: open + room });
      if (room > 0) expect(spent + expectedThen).toBeCloseTo(target, 3);
      else expect(spent + expectedThen).toBeGreaterThanOrEqual(target - 1e-6);
    },
  );
});
