import type { Gate } from './gate.ts';

/** Two sides that say nothing different teach nothing. Always on: trainers fail on one or the other. */
export const sidesGate: Gate = ({ row: { chosen, rejected } }) => {
  if (chosen === '' || rejected === '') {
    return { reason: 'empty-side', detail: chosen === '' ? 'chosen' : 'rejected' };
  }
  return chosen === rejected ? { reason: 'equal-sides', detail: '' } : null;
};
