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
  return grouped(changes)
    .map(({ same, removed, added }) =>
      colour
        ? same + (removed && red(strikethrough(removed))) + (added && green(added))
        : same + (removed && `[-${removed}-]`) + (added && `{+${added}+}`),
    )
    .join('');
}

/** Text that both sides have, then what was taken out after it and what was put in. */
interface Group {
  readonly same: string;
  readonly removed: string;
  readonly added: string;
}

/** Words that changed side by side are read as one change, not word for word. */
function grouped(
  changes: readonly {
    readonly value: string;
    readonly removed: boolean;
    readonly added: boolean;
  }[],
): readonly Group[] {
  const groups: Group[] = [];
  let group: Group = { same: '', removed: '', added: '' };
  for (const [index, { value, removed, added }] of changes.entries()) {
    const changed = group.removed !== '' || group.added !== '';
    if (removed) group = { ...group, removed: group.removed + value };
    else if (added) group = { ...group, added: group.added + value };
    else if (changed && /^[ \t]+$/.test(value) && index < changes.length - 1) {
      group = { ...group, removed: group.removed + value, added: group.added + value };
    } else {
      if (changed) groups.push(group);
      group = { same: changed ? value : group.same + value, removed: '', added: '' };
    }
  }
  return [...groups, group];
}
