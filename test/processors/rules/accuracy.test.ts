import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { bootstrap, wilson } from '../../../processors/rules/accuracy.ts';

const percent = (share: number): number => Math.round(share * 1000) / 10;

describe("Wilson's interval", () => {
  // The first two are worked out in Newcombe (Statistics in Medicine 17, 1998), table I.
  test.each([
    ['81 of 263', { followed: 81, of: 263 }, [25.5, 36.6]],
    ['15 of 148', { followed: 15, of: 148 }, [6.2, 16]],
    ['none of 20', { followed: 0, of: 20 }, [0, 16.1]],
    ['all of 10', { followed: 10, of: 10 }, [72.2, 100]],
    ['nothing to count', { followed: 0, of: 0 }, [0, 0]],
  ])('%s', (_name, share, [low, high]) => {
    const estimate = wilson(share);
    expect([percent(estimate.low), percent(estimate.high)]).toEqual([low, high]);
  });

  test.prop([fc.nat(1000), fc.integer({ min: 1, max: 1000 })])(
    'holds the share, within 0 and 1',
    (followed, more) => {
      const { low, value, high } = wilson({ followed, of: followed + more });
      expect(low).toBeGreaterThanOrEqual(0);
      expect(low).toBeLessThanOrEqual(value);
      expect(high).toBeGreaterThanOrEqual(value);
      expect(high).toBeLessThanOrEqual(1);
    },
  );
});

describe('the bootstrap', () => {
  const settings = { resamples: 2000, seed: 1 };
  const singles = Array.from({ length: 400 }, (_, index) => ({
    followed: index % 4 === 0 ? 0 : 1,
    of: 1,
  }));

  test('of groups of one agrees with Wilson, within what chance does', () => {
    const [drawn, exact] = [bootstrap(singles, settings), wilson({ followed: 300, of: 400 })];
    expect(drawn.value).toBe(0.75);
    expect(Math.abs(drawn.low - exact.low)).toBeLessThan(0.01);
    expect(Math.abs(drawn.high - exact.high)).toBeLessThan(0.01);
  });

  test('is wider where what belongs together stands or falls together', () => {
    const groups = singles.map(({ followed }) => ({ followed: followed * 3, of: 3 }));
    const apart = singles.flatMap((one) => [one, one, one]);
    const width = (of: typeof groups) => {
      const { low, high } = bootstrap(of, settings);
      return high - low;
    };
    expect(width(groups)).toBeGreaterThan(1.5 * width(apart));
  });

  test('is the same for the same seed, and another for another', () => {
    expect(bootstrap(singles, settings)).toEqual(bootstrap(singles, settings));
    expect(bootstrap(singles, { ...settings, seed: 2 })).not.toEqual(bootstrap(singles, settings));
  });

  test('of nothing is nothing', () => {
    expect(bootstrap([], settings)).toEqual({ followed: 0, of: 0, value: 0, low: 0, high: 0 });
  });
});
