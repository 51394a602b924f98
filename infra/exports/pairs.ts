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
