import kafkajs, { type Assigner, type Consumer, type PartitionAssigner } from 'kafkajs';
import type { Logger } from '../../logger.ts';
import { unlessAborted } from '../../signals.ts';
import { messageOf, oneLine } from '../../text.ts';
import type { Time } from '../../time.ts';
import { assign } from './assignor.ts';
import type { KafkaClient } from './client.ts';
import { explained, failureOf } from './failures.ts';
import type { Outages } from './outages.ts';

/** A place in a consumer group: it says which partitions are ours, and nothing else. */
export interface Membership {
  /**
   * Resolves when the group has confirmed, after this was called, that we are a member of its present generation. An
   * answer that was already on its way says nothing, as after a long stop of the process: so it takes two.
   */
  confirmed(signal: AbortSignal): Promise<void>;
  leave(): Promise<void>;
}

export interface MembershipOptions {
  readonly client: KafkaClient;
  readonly group: string;
  readonly topic: string;
  readonly time: Time;
  readonly logger: Logger;
  readonly outages: Outages;
  /** The partitions that we hold, for the next rebalance to leave where they are. */
  readonly held: () => readonly number[];
  /** The partitions that are ours from now on. */
  readonly assigned: (partitions: readonly number[], how: Assignment) => void;
  /** The group has not heard us for so long that it may have given us up; what it says next will tell. */
  readonly lapsed: () => void;
  readonly failed: (error: Error) => void;
  /** Takes a member of ours that will not come back out of the group. */
  readonly expel: (memberId: string) => Promise<void>;
  /** Aborted when nobody wants to join any more; it ends the joining, and not a membership. */
  readonly signal: AbortSignal;
}

export interface Assignment {
  /** The group had given us up meanwhile: what we held may have been somebody else's in between. */
  readonly anew: boolean;
  /** There is no other member who could have had them until now. */
  readonly alone: boolean;
}

const { AssignerProtocol } = kafkajs;
const delayMsMax = 30_000;

/**
 * A member that only takes part: kafkajs keeps it in the group with heartbeats and rebalances, and never gets to
 * fetch, since all its partitions are paused. It is always in one of these modes:
 *
 * - **joining**: until the first assignment;
 * - **member**: heartbeats are answered; a rebalance ends with another assignment;
 * - **lapsed**: they were not for longer than a session, as when the process was stopped or the brokers were away;
 *   until one is, nobody knows whose the partitions are;
 * - **restarting**: kafkajs gave up, as when the brokers were away for long; a new consumer joins after a while. It is
 *   another member to the group, which would wait a session long for the old one if nobody took that out.
 */
export async function joinGroup(options: MembershipOptions): Promise<Membership> {
  const { client, group, topic, time, logger, outages } = options;
  const waitingFor = `staying in the group ${group}`;
  const leaving = new AbortController();
  const joined = Promise.withResolvers<undefined>();
  let consumer: Consumer | null = null;
  let memberId: string | null = null;
  /** Our name as long as the group may wait for us under it. */
  let known: string | null = null;
  let alone = false;
  let restarts = 0;
  let waiting: { answers: number; readonly resolve: () => void }[] = [];
  const { sessionMs, heartbeatMs, rebalanceMs } = client.settings.timeouts;
  /** Until when the group keeps us without a word from us, as far as we know. */
  let keptUntilMs = Infinity;
  let answeredMs = time.monotonic();
  const confirm = () => {
    // We were a member when the request was sent, which was after the answer before.
    keptUntilMs = answeredMs + sessionMs;
    answeredMs = time.monotonic();
    outages.ended(waitingFor);
    const all = waiting;
    waiting = [];
    for (const one of all) {
      if (--one.answers > 0) waiting.push(one);
      else one.resolve();
    }
  };
  const fail = (error: unknown) => {
    const sentence = explained(error, `joining the group ${group}`, client.settings.brokers);
    const asError = sentence instanceof Error ? sentence : new Error(String(sentence));
    joined.reject(asError);
    options.failed(asError);
  };

  async function start(): Promise<void> {
    alone = false;
    const made = client.consumer({
      groupId: group,
      partitionAssigners: [
        ({ cluster }) =>
          stickyAssigner(cluster, options.held, (members) => {
            alone = members === 1;
          }),
      ],
    });
    consumer = made;
    made.on(made.events.GROUP_JOIN, ({ payload }) => {
      const partitions = payload.memberAssignment[topic] ?? [];
      // Before kafkajs's first fetch, which waits for this listener.
      if (partitions.length > 0) made.pause([{ topic, partitions }]);
      const anew = memberId !== null && memberId !== payload.memberId;
      memberId = payload.memberId;
      known = memberId;
      restarts = 0;
      outages.ended(waitingFor);
      answeredMs = time.monotonic();
      keptUntilMs = answeredMs + sessionMs;
      logger.debug({ group, partitions, anew }, 'group.joined');
      options.assigned(partitions, { anew, alone: alone && payload.isLeader });
      joined.resolve(undefined);
    });
    made.on(made.events.HEARTBEAT, confirm);
    // The group waits for its members to join again, and takes its time; until then it keeps them.
    made.on(made.events.REBALANCING, () => {
      keptUntilMs = time.monotonic() + Math.max(sessionMs, rebalanceMs);
    });
    made.on(made.events.CRASH, ({ payload: { error } }) => {
      if (consumer === made && !leaving.signal.aborted) void restart(error);
    });
    try {
      await made.connect();
      await made.subscribe({ topic, fromBeginning: true });
      await made.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: nothing });
    } catch (error) {
      if (consumer === made && !leaving.signal.aborted) void restart(error);
    }
  }

  async function restart(error: unknown): Promise<void> {
    const failure = failureOf(error);
    if (failure === 'denied' || failure === 'missing') {
      fail(error);
      return;
    }
    outages.began(waitingFor, error);
    const delayMs = Math.min(delayMsMax, 250 * 2 ** Math.min(restarts++, 10));
    logger.warn({ group, delayMs, message: oneLine(messageOf(error), 300) }, 'member.restarted');
    const old = consumer;
    consumer = null;
    await old?.disconnect().catch(() => undefined);
    try {
      await time.sleep(delayMs, leaving.signal);
      await leaveBehind();
    } catch {
      return;
    }
    await start();
  }

  async function leaveBehind(): Promise<void> {
    if (known === null) return;
    try {
      await unlessAborted(options.expel(known), leaving.signal);
      known = null;
    } catch (cause) {
      leaving.signal.throwIfAborted();
      logger.debug({ group, message: oneLine(messageOf(cause), 300) }, 'expel.failed');
    }
  }

  async function watch(): Promise<void> {
    for (;;) {
      await time.sleep(heartbeatMs, leaving.signal);
      if (time.monotonic() <= keptUntilMs) continue;
      // Said once: what is answered from now on begins it anew.
      keptUntilMs = Infinity;
      answeredMs = time.monotonic();
      outages.began(waitingFor, `no heartbeat for ${sessionMs} ms`);
      logger.info({ group }, 'member.lapsed');
      options.lapsed();
    }
  }

  async function leave(): Promise<void> {
    leaving.abort(new Error('the group is left'));
    outages.ended(waitingFor);
    await consumer?.disconnect().catch((error: unknown) => {
      logger.debug({ group, message: oneLine(messageOf(error), 300) }, 'leave.failed');
    });
  }

  try {
    const joining = start().then(() => joined.promise);
    await unlessAborted(joining, options.signal);
  } catch (error) {
    await leave();
    throw error;
  }
  watch().catch((error: unknown) => {
    if (!leaving.signal.aborted) fail(error);
  });
  return {
    async confirmed(signal) {
      signal.throwIfAborted();
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      const abort = () => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      waiting.push({ answers: 2, resolve: () => resolve(undefined) });
      try {
        await promise;
      } finally {
        signal.removeEventListener('abort', abort);
      }
    },
    leave,
  };
}

const nothing = () => Promise.resolve();

const protocolVersion = 1;

/** Members tell each other what they hold in their metadata; the group's leader decides by `assign`. */
const stickyAssigner = (
  cluster: Parameters<PartitionAssigner>[0]['cluster'],
  held: () => readonly number[],
  decided: (members: number) => void,
): Assigner => ({
  name: 'spar-sticky',
  version: protocolVersion,
  protocol: ({ topics }) => ({
    name: 'spar-sticky',
    metadata: AssignerProtocol.MemberMetadata.encode({
      version: protocolVersion,
      topics,
      userData: Buffer.from(JSON.stringify(held())),
    }),
  }),
  assign: ({ members, topics }) => {
    const [topic = ''] = topics;
    const partitions = cluster.findTopicPartitionMetadata(topic);
    const assigned = assign(
      members.map(({ memberId, memberMetadata }) => ({
        id: memberId,
        held: heldIn(memberMetadata),
      })),
      partitions.map(({ partitionId }) => partitionId),
    );
    decided(members.length);
    return Promise.resolve(
      [...assigned].map(([memberId, theirs]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version: protocolVersion,
          assignment: { [topic]: [...theirs] },
          userData: Buffer.alloc(0),
        }),
      })),
    );
  },
});

/** The partitions that a member was assigned, of the one topic that its group reads. */
export function assignedIn(assignment: Buffer): readonly number[] {
  const decoded =
    assignment.length === 0 ? null : AssignerProtocol.MemberAssignment.decode(assignment);
  return Object.values(decoded?.assignment ?? {})
    .flat()
    .sort((one, other) => one - other);
}

function heldIn(metadata: Buffer): readonly number[] {
  const decoded = AssignerProtocol.MemberMetadata.decode(metadata);
  try {
    const held: unknown = JSON.parse(decoded?.userData.toString() ?? '[]');
    return Array.isArray(held)
      ? held.filter((one): one is number => Number.isSafeInteger(one))
      : [];
  } catch {
    // A member of another make holds nothing that we know of.
    return [];
  }
}
