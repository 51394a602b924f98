import type { Judged } from '../../schemas/records.ts';
import { shuffle, type Chance } from './chance.ts';

/** Responses in the order in which failed ones are chosen: a uniform one, and each has a draw of its own. */
export const inOrderOfChoice = <Item extends { readonly index: number }>(
  items: readonly Item[],
  chance: Chance,
): readonly Item[] => shuffle(items, ({ index }) => `negative/${index}`, chance);

/**
 * The failed responses that trees will refine, `limit` at the most: a uniform choice, in the order of their trees.
 * Each response has a draw of its own, so that the choice does not depend on what else was looked at before: whoever
 * judges in this very order and stops at `limit` failures has found the ones that would be chosen among all.
 */
export const chooseNegatives = (
  judged: readonly Judged[],
  limit: number,
  chance: Chance,
): readonly Judged[] =>
  inOrderOfChoice(
    judged.filter(({ verdict }) => verdict === 'fail'),
    chance,
  ).slice(0, limit);
