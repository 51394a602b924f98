/**
 * What kafkajs reports as an error although it is how things go: a coordinator that still loads or moves, the
 * transaction before that is not closed yet, a group that takes a member in. Exactly these, so that nothing else is
 * missed.
 */
const usual = [
  "The coordinator is loading and hence can't process requests for this group",
  'The group coordinator is not available',
  'This is not the correct coordinator for this group',
  'The coordinator is not aware of this member',
  'The group is rebalancing',
  'another concurrent operation on the same transaction was ongoing',
  // Our retries have a bound on purpose: behind it the producer is thrown away.
  'Limiting retries for the idempotent producer may invalidate EoS guarantees',
];

export const isQuiet = (message: string): boolean => usual.some((text) => message.includes(text));

/** kafkajs asks for timers that should have ended already; Node 24 warns of each, and it means nothing. */
export function quietTimers(): void {
  if (quieted) return;
  quieted = true;
  const warn = process.emitWarning.bind(process) as (...parameters: readonly unknown[]) => void;
  process.emitWarning = (...parameters: readonly unknown[]) => {
    if (!parameters.includes('TimeoutNegativeWarning')) warn(...parameters);
  };
}

let quieted = false;
