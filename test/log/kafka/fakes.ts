import type { Consumer, Producer, ProducerBatch } from 'kafkajs';
import type { KafkaClient } from '../../../infra/log/kafka/client.ts';
import { kafkaDefaults, type KafkaTimeouts } from '../../../infra/log/kafka/settings.ts';
import type { Committed } from '../../../infra/log/log.ts';

/** An error as kafkajs throws it. */
export const kafkaError = (type: string): Error =>
  Object.assign(new Error(type), { name: 'KafkaJSProtocolError', type });

/** What becomes of the next commit: an error before the broker has heard it, or after it was carried out. */
export interface Mishap {
  readonly when: 'before' | 'after';
  readonly error: Error;
}

/** A consumer that hears from the test what the group says. */
export interface FakeConsumer {
  readonly consumer: Consumer;
  readonly disconnected: boolean;
  join(
    partitions: readonly number[],
    member?: Partial<{ memberId: string; isLeader: boolean }>,
  ): void;
  heartbeat(): void;
  rebalance(): void;
  crash(error: Error): void;
}

/**
 * A broker as far as members and owners see it: whoever takes a transactional id last has it, and all before are
 * fenced off; offsets are moved by commits alone.
 */
export function fakeCluster(timeouts: Partial<KafkaTimeouts> = {}) {
  const consumers: FakeConsumer[] = [];
  const epochs = new Map<string, number>();
  /** What happened, in order. */
  const events: string[] = [];
  const published: string[] = [];
  const offsets = new Map<number, Committed>();
  const mishaps: Mishap[] = [];
  /** A batch of more letters is refused. */
  let lettersMax = Infinity;
  let open = 0;

  function producer(id: string | null): Producer {
    let epoch = 0;
    const check = () => {
      if (epochs.get(id ?? '') !== epoch) throw kafkaError('INVALID_PRODUCER_EPOCH');
    };
    const made = {
      connect: () => Promise.resolve(open++),
      disconnect: () => Promise.resolve(open--),
      transaction: async () => {
        await Promise.resolve();
        if (epoch === 0) {
          epoch = (epochs.get(id ?? '') ?? 0) + 1;
          epochs.set(id ?? '', epoch);
          events.push(`${id} is taken`);
        }
        check();
        const records: string[] = [];
        let moved: Committed | null = null;
        return {
          abort: () => Promise.resolve(),
          sendBatch: async ({ topicMessages = [] }: ProducerBatch) => {
            await Promise.resolve();
            check();
            const batch = topicMessages.flatMap(({ messages }) =>
              messages.map(({ value }) => String(value)),
            );
            if (batch.join('').length > lettersMax) throw kafkaError('MESSAGE_TOO_LARGE');
            records.push(...batch);
            return topicMessages.flatMap(({ topic }) => ({
              topicName: topic,
              partition: 0,
              baseOffset: '0',
            }));
          },
          sendOffsets: async ({
            topics: [
              {
                partitions: [at],
              },
            ],
          }: {
            topics: [{ partitions: [{ partition: number; offset: string; metadata: string }] }];
          }) => {
            await Promise.resolve();
            check();
            const { partition, offset, metadata } = at;
            moved = { partition, known: true, position: Number(offset), metadata };
          },
          commit: async () => {
            await Promise.resolve();
            const mishap = mishaps.shift();
            if (mishap?.when === 'before') throw mishap.error;
            check();
            published.push(...records);
            if (moved) offsets.set(moved.partition, moved);
            if (mishap) throw mishap.error;
          },
        };
      },
    };
    // Owners use no more of a producer than this.
    return made as unknown as Producer;
  }

  function consumer(): Consumer {
    const listeners = new Map<string, (event: { payload: object }) => void>();
    const names = {
      GROUP_JOIN: 'join',
      HEARTBEAT: 'heartbeat',
      REBALANCING: 'rebalancing',
      CRASH: 'crash',
    };
    const say = (event: string, payload: object) => listeners.get(event)?.({ payload });
    let topic = '';
    let disconnected = false;
    const made = {
      events: names,
      on: (event: string, listener: (event: { payload: object }) => void) => {
        listeners.set(event, listener);
      },
      connect: () => Promise.resolve(),
      subscribe: (to: { topic: string }) => Promise.resolve(void (topic = to.topic)),
      run: () => Promise.resolve(),
      pause: () => undefined,
      disconnect: () => Promise.resolve(void (disconnected = true)),
    } as unknown as Consumer;
    consumers.push({
      consumer: made,
      get disconnected() {
        return disconnected;
      },
      join: (partitions, { memberId = 'me', isLeader = false } = {}) =>
        say(names.GROUP_JOIN, { memberId, isLeader, memberAssignment: { [topic]: partitions } }),
      heartbeat: () => say(names.HEARTBEAT, {}),
      rebalance: () => say(names.REBALANCING, {}),
      crash: (error) => say(names.CRASH, { error }),
    });
    return made;
  }

  const client = {
    settings: {
      ...kafkaDefaults,
      brokers: ['fake:1'],
      timeouts: { ...kafkaDefaults.timeouts, handoverMs: 0, ...timeouts },
    },
    consumer,
    producer,
  } as unknown as KafkaClient;

  return {
    client,
    consumers,
    events,
    published,
    mishaps,
    /** Batches of more letters are refused from now on. */
    takes: (letters: number) => (lettersMax = letters),
    /** Producers that are connected. */
    open: () => open,
    committed: (partition: number): Promise<Committed> => {
      events.push(`${partition} is asked for`);
      return Promise.resolve(
        offsets.get(partition) ?? { partition, known: false, position: 0, metadata: '' },
      );
    },
    /** Another process takes the right, and moves the position where it is given. */
    takenBy(id: string, moved?: Committed) {
      epochs.set(id, (epochs.get(id) ?? 0) + 1);
      if (moved) offsets.set(moved.partition, moved);
    },
  };
}
