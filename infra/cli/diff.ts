import { diffWordsWithSpace } from 'diff';
import pc from 'picocolors';
import type { PreferencePair } from '../../schemas/records.ts';
import { manyLines } from '../text.ts';

/** Words that may differ before the two texts count as different altogether: the search is quadratic in them. */
const editsMax = 3000;

/**
 * What was taken out of the rejected response and put in to make the chosen one, word by word. Without colour it
 * is `[-taken out-]{+put in+}`, as git writes it.
 */
export function renderPairDiff(
  pair: Pick<PreferencePair, 'chosen' | 'rejected'>,
  { colour = pc.isColorSupported }: { readonly colour?: boolean } = {},
): string {
  const { red, green, strikethrough } = pc.createColors(colour);
  const [before, after] = [manyLines(pair.rejected), manyLines(pair.chosen)];
  const changes = diffWordsWithSpace(before, after, { maxEditLength: editsMax }) ?? [
    { value: before, removed: true, added: false },
    { value: after, removed: false, added: true },
  ];
  return changes
    .map(({ value, removed, added }) => {
      if (removed) return colour ? red(strikethrough(value)) : `[-${value}-]`;
      if (added) return colour ? green(value) : `{+${value}+}`;
      return value;
    })
    .join('');
}
