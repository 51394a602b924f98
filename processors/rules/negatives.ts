import type { Judged } from '../../schemas/records.ts';
import { shuffle, type Chance } from './chance.ts';

/**
 * The failed responses that trees will refine, `limit` at the most: a uniform choice, in the order of their trees.
 * Each response has a draw of its own, so that the choice does not depend on what else was looked at before.
 */
export const chooseNegatives = (
  judged: readonly Judged[],
  limit: number,
  chance: Chance,
): readonly Judged[] =>
  shuffle(
    judged.filter(({ verdict }) => verdict === 'fail'),
    ({ index }) => `negative/${index}`,
    chance,
  ).slice(0, limit);
