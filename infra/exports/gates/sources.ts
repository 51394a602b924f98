import type { Chance } from '../../../processors/rules/chance.ts';
import type { Gate } from './gate.ts';

/** Keeps a share of each source that is named: chance decides on every pair by itself, so more pairs change none. */
export const sourcesGate =
  (shares: Readonly<Record<string, number>>, chance: Chance): Gate =>
  ({ pair: { id, source } }) => {
    const share = Object.hasOwn(shares, source) ? (shares[source] ?? 1) : 1;
    return chance(`source/${id}`) < share
      ? null
      : { reason: 'source-share', detail: `${source} ${share}` };
  };
