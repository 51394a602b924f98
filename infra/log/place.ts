import type { Log, Transaction } from './log.ts';

export type Placement = Pick<Transaction, 'position' | 'metadata'>;

/**
 * Puts a group where it is told to stand, by partition, as its only member.
 *
 * @throws Error if somebody else works for it
 */
export async function placeGroup(
  log: Log,
  group: string,
  topic: string,
  places: ReadonlyMap<number, Placement>,
): Promise<void> {
  if (places.size === 0) return;
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  const assigned = new Set<number>();
  const subscription = await log.subscribe(group, topic, {
    assigned: (partition) => assigned.add(partition),
    records: () => undefined,
    revoked: () => Promise.resolve(),
    failed: failure.reject,
  });
  try {
    const missing = [...places.keys()].filter((partition) => !assigned.has(partition));
    if (missing.length > 0) {
      throw new Error(
        `somebody else works for ${group}, on partitions ${missing.join(', ')} of ${topic}: stop it first`,
      );
    }
    const commits = [...places].map(([partition, place]) =>
      subscription.commit(partition, { outputs: [], ...place }),
    );
    await Promise.race([Promise.all(commits), failure.promise]);
  } finally {
    await subscription.close();
  }
}
