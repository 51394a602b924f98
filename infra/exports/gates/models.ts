import type { GateSettings } from '../settings.ts';
import type { Gate } from './gate.ts';

/** Keeps pairs of some model versions only, since responses of an older model may no longer be what it would say. */
export const modelsGate =
  (wanted: GateSettings['models']): Gate =>
  ({ pair }) => {
    const made = {
      actor: pair.actor_model,
      judge: pair.judge_model,
      refiner: pair.refiner_model,
    };
    for (const role of ['actor', 'judge', 'refiner'] as const) {
      if (wanted[role].length > 0 && !wanted[role].includes(made[role])) {
        return { reason: 'stale-model', detail: `${role} ${made[role]}` };
      }
    }
    return null;
  };
