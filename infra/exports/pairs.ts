import type { PreferencePair } from '../../schemas/records.ts';
import type { PreferenceRow } from './format.ts';

/** A pair as it is exported: its sides trimmed. */
export const cleaned = (pair: PreferencePair): PreferenceRow => ({
  id: pair.id,
  source: pair.source,
  messages: pair.messages,
  chosen: pair.chosen.trim(),
  rejected: pair.rejected.trim(),
  depth: pair.depth,
  value: pair.chosen_value,
});

/** Why a pair by itself is not for training; null if it is. */
export function whyNot({ chosen, rejected }: PreferenceRow): 'empty-side' | 'equal-sides' | null {
  if (chosen === '' || rejected === '') return 'empty-side';
  return chosen === rejected ? 'equal-sides' : null;
}
