/** How many of how many. */
export interface Share {
  readonly followed: number;
  readonly of: number;
}

/** A share with the bounds of its 95 % interval; all three are 0 where there is nothing to count. */
export interface Estimate extends Share {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** The normal distribution's quantile for 95 %. */
const z = 1.959_963_984_540_054;

/**
 * Wilson's score interval (JASA 1927), for things that are counted once each, such as prompts: also near 0 and 1, and
 * for few of them, it stays within bounds and is never a point.
 */
export function wilson({ followed, of }: Share): Estimate {
  if (of === 0) return { followed, of, value: 0, low: 0, high: 0 };
  const value = followed / of;
  const spread = 1 + z ** 2 / of;
  const centre = (value + z ** 2 / (2 * of)) / spread;
  const half = (z / spread) * Math.sqrt((value * (1 - value)) / of + z ** 2 / (4 * of ** 2));
  // At 0 and at 1 the bound is the value itself, but for rounding.
  return {
    ...{ followed, of, value },
    low: followed === 0 ? 0 : Math.max(0, centre - half),
    high: followed === of ? 1 : Math.min(1, centre + half),
  };
}

export interface BootstrapSettings {
  readonly resamples: number;
  readonly seed: number;
}

/**
 * The percentile bootstrap (Efron 1979) over groups, such as prompts with their instructions: what belongs to one
 * prompt stands or falls together, so prompts are drawn and not instructions.
 */
export function bootstrap(
  groups: readonly Share[],
  { resamples, seed }: BootstrapSettings,
): Estimate {
  const { followed, of } = groups.reduce(sum, { followed: 0, of: 0 });
  if (of === 0) return { followed, of, value: 0, low: 0, high: 0 };
  const next = numbersFrom(seed);
  const values = new Float64Array(resamples);
  for (let index = 0; index < resamples; index++) {
    let [drawnFollowed, drawnOf] = [0, 0];
    for (let left = groups.length; left > 0; left--) {
      const group = groups[Math.floor(next() * groups.length)] as Share;
      drawnFollowed += group.followed;
      drawnOf += group.of;
    }
    values[index] = drawnOf === 0 ? 0 : drawnFollowed / drawnOf;
  }
  values.sort();
  const at = (quantile: number) => values[Math.round(quantile * (resamples - 1))] ?? 0;
  return { followed, of, value: followed / of, low: at(0.025), high: at(0.975) };
}

const sum = (one: Share, other: Share): Share => ({
  followed: one.followed + other.followed,
  of: one.of + other.of,
});

/** Numbers in [0, 1), the same for the same seed (mulberry32): millions are needed, too many to hash for each. */
function numbersFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
