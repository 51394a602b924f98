import type { Log, Subscriber, Subscription } from '../../infra/log/log.ts';

interface Group {
  readonly members: Map<number, Subscriber>;
  readonly opened: PromiseWithResolvers<Subscription>;
  closed: number;
}

/**
 * A log of this process as `count` members see it that have a share of its partitions each, as workers on a cluster
 * have: partition p is the business of member p mod `count`. Groups begin once all members have joined, and nobody
 * takes over what another leaves.
 */
export function sharedLog(log: Log, count: number): readonly Log[] {
  const groups = new Map<string, Group>();
  const groupOf = (name: string): Group => {
    const known = groups.get(name);
    if (known) return known;
    const group = { members: new Map(), opened: Promise.withResolvers<Subscription>(), closed: 0 };
    groups.set(name, group);
    return group;
  };

  async function open(name: string, topic: string, { members, opened }: Group): Promise<void> {
    // All of them have joined.
    const ownerOf = (partition: number) => members.get(partition % count) as Subscriber;
    try {
      const subscription = await log.subscribe(name, topic, {
        assigned: (partition, committed) => ownerOf(partition).assigned(partition, committed),
        records: (partition, records, next) => ownerOf(partition).records(partition, records, next),
        // Each member was asked when it left.
        revoked: () => Promise.resolve(),
        failed: (error) => members.forEach((member) => member.failed(error)),
      });
      opened.resolve(subscription);
    } catch (error) {
      opened.reject(error);
    }
  }

  const memberOf = (own: number): Log => ({
    ...log,
    async subscribe(name, topic, subscriber) {
      const group = groupOf(name);
      group.members.set(own, subscriber);
      if (group.members.size === count) await open(name, topic, group);
      const shared = await group.opened.promise;
      return {
        pause: (partition) => shared.pause(partition),
        resume: (partition) => shared.resume(partition),
        commit: (partition, transaction) => shared.commit(partition, transaction),
        async close() {
          for (let partition = own; partition < log.partitions; partition += count) {
            shared.pause(partition);
            await subscriber.revoked(partition);
          }
          if (++group.closed === count) await shared.close();
        },
      };
    },
  });
  return Array.from({ length: count }, (_, own) => memberOf(own));
}
