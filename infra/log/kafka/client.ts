import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { zstdCompress } from 'node:zlib';
import kafkajs, {
  type Admin,
  type ConfigResourceTypes,
  type ConfigSource,
  type Consumer,
  type ConsumerConfig,
  type ISocketFactory,
  type ISocketFactoryArgs,
  type Kafka,
  type LogEntry,
  type Mechanism,
  type Producer,
  type SASLOptions,
} from 'kafkajs';
import type { Logger } from '../../logger.ts';
import { messageOf, oneLine } from '../../text.ts';
import { decodeFetch, type FetchedPartition } from './fetch.ts';
import { oauthBearer } from './oauth.ts';
import { isQuiet } from './quiet.ts';
import type { KafkaSettings, SaslSettings, TlsSettings } from './settings.ts';

// It is CommonJS, and Node finds only some of its names by itself.
const { CompressionCodecs, CompressionTypes, logLevel } = kafkajs;

/**
 * kafkajs as the adapter uses it. Reading goes through `cluster`, the client's own view of the brokers: kafkajs
 * offers records only to members of a group, and taps, tables and exports are none.
 */
export interface KafkaClient {
  readonly settings: KafkaSettings;
  admin(): Admin;
  consumer(options: Pick<ConsumerConfig, 'groupId' | 'partitionAssigners'>): Consumer;
  /** For one call after another; `transactionalId` makes it fence off whoever had the same id before. */
  producer(transactionalId: string | null): Producer;
  cluster(): Cluster;
  /**
   * Ends what is left, and opens nothing any more: kafkajs forgets a connection when two requests open it at the same
   * time, and opens another one when a request that is under way finds its own closed.
   */
  close(): void;
  readonly compression: (typeof compressions)[keyof typeof compressions];
}

/** What we use of kafkajs's inner cluster. */
export interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  addMultipleTargetTopics(topics: readonly string[]): Promise<void>;
  findTopicPartitionMetadata(
    topic: string,
  ): readonly { readonly partitionId: number; readonly leader: number }[];
  findBroker(broker: { readonly nodeId: number }): Promise<Broker>;
  findGroupCoordinator(group: { readonly groupId: string }): Promise<Broker>;
  removeBroker(broker: { readonly host: string; readonly port: number }): void;
  fetchTopicsOffset(
    topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number }[];
      readonly fromBeginning?: boolean;
      readonly fromTimestamp?: number;
    }[],
  ): Promise<
    readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[]
  >;
  readonly brokerPool: {
    readonly metadata: { readonly clusterId: string } | null;
    findConnectedBroker(): Promise<Broker>;
  };
}

export interface Broker {
  /** Of all topics if none is named. It fails if one of them is missing, without saying which. */
  metadata(topics: readonly string[]): Promise<{
    readonly brokers: readonly unknown[];
    readonly topicMetadata: readonly {
      readonly topic: string;
      readonly partitionMetadata: readonly {
        readonly replicas: readonly number[];
        readonly isr: readonly number[];
      }[];
    }[];
  }>;
  describeConfigs(request: {
    readonly resources: readonly { readonly type: ConfigResourceTypes; readonly name: string }[];
  }): Promise<{
    readonly resources: readonly {
      readonly resourceName: string;
      readonly configEntries: readonly {
        readonly configName: string;
        readonly configValue: string | null;
        readonly configSource: ConfigSource;
      }[];
    }[];
  }>;
  leaveGroup(member: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
  fetch(request: {
    readonly maxWaitTime: number;
    readonly minBytes: number;
    readonly maxBytes: number;
    /** 1 is read_committed. */
    readonly isolationLevel: 1;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly {
        readonly partition: number;
        readonly fetchOffset: string;
        readonly maxBytes: number;
      }[];
    }[];
  }): Promise<{
    readonly responses: readonly {
      readonly topicName: string;
      readonly partitions: readonly FetchedPartition[];
    }[];
  }>;
}

const compressions = {
  zstd: CompressionTypes.ZSTD,
  gzip: CompressionTypes.GZIP,
  none: CompressionTypes.None,
} as const;

// kafkajs has a place for zstd and no codec; Node has one. What is read does not come here (`fetched.ts`).
const compress = promisify(zstdCompress);
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: ({ buffer }: { readonly buffer: Buffer }) => compress(buffer),
  decompress: () => Promise.reject(new Error('batches are not unpacked here')),
});

export function openClient(settings: KafkaSettings, logger: Logger): KafkaClient {
  const { timeouts } = settings;
  const sockets = new Set<Socket>();
  const closing = new AbortController();
  const kafka = new kafkajs.Kafka({
    brokers: [...settings.brokers],
    clientId: settings.clientId,
    connectionTimeout: timeouts.connectMs,
    authenticationTimeout: timeouts.connectMs,
    requestTimeout: timeouts.requestMs,
    socketFactory: trackedSockets(sockets, closing.signal),
    ...(settings.tls && { ssl: tlsOf(settings.tls) }),
    ...(settings.sasl && { sasl: saslOf(settings.sasl) }),
    retry: { initialRetryTime: 100, maxRetryTime: 2000, retries: 8 },
    logLevel: logLevel.WARN,
    logCreator: () => (entry) => {
      // What is still under way then complains of the end, which is as it should be.
      if (!closing.signal.aborted) tell(logger, entry);
    },
  });
  tellOfCoordinators(kafka);
  return {
    settings,
    compression: compressions[settings.compression],
    admin: () => kafka.admin(),
    consumer: (options) =>
      kafka.consumer({
        ...options,
        sessionTimeout: timeouts.sessionMs,
        heartbeatInterval: timeouts.heartbeatMs,
        rebalanceTimeout: timeouts.rebalanceMs,
        // Also how often a member looks whether it is time for a heartbeat.
        maxWaitTimeInMs: Math.min(timeouts.fetchMs, 500),
        allowAutoTopicCreation: false,
        // Whoever restarts it should know why it ended: that is `Membership`.
        retry: { retries: 5, restartOnFailure: () => Promise.resolve(false) },
      }),
    producer: (transactionalId) =>
      kafka.producer({
        idempotent: true,
        maxInFlightRequests: 1,
        allowAutoTopicCreation: false,
        // Every message names its partition.
        createPartitioner:
          () =>
          ({ message }) =>
            message.partition ?? 0,
        ...(transactionalId !== null && {
          transactionalId,
          transactionTimeout: timeouts.transactionMs,
        }),
        // After a commit the broker says CONCURRENT_TRANSACTIONS for some ms: kafkajs's 300 ms would cost all speed.
        retry: { initialRetryTime: 5, factor: 0, retries: 50, maxRetryTime: 1000 },
      }),
    cluster: () => innerCluster(kafka),
    close() {
      const why = new Error('the client is closed');
      closing.abort(why);
      // Without an error kafkajs would wait for a connection that is being made until it has taken too long.
      for (const socket of sockets) socket.destroy(why);
    },
  };
}

const keepAliveMs = 60_000;

const trackedSockets =
  (sockets: Set<Socket>, closing: AbortSignal): ISocketFactory =>
  // Its type says that there always is an ssl; without TLS there is none.
  ({
    host,
    port,
    ssl,
    onConnect,
  }: Omit<ISocketFactoryArgs, 'ssl'> & Partial<ISocketFactoryArgs>) => {
    closing.throwIfAborted();
    // Names go into the handshake, addresses must not.
    const named = isIP(host) === 0 ? { servername: host } : {};
    const socket = ssl
      ? connectTls({ host, port, ...named, ...ssl }, onConnect)
      : connect({ host, port }, onConnect);
    socket.setKeepAlive(true, keepAliveMs);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    return socket;
  };

const tlsOf = ({ ca, cert, key }: TlsSettings) => ({
  ...(ca !== null && { ca: [ca] }),
  ...(cert !== null && { cert }),
  ...(key !== null && { key }),
});

function saslOf(sasl: SaslSettings): SASLOptions | Mechanism {
  if (sasl.mechanism === 'oauthbearer') return oauthBearer(sasl.token);
  const options: SASLOptions = sasl;
  return options;
}

/** Named in kafkajs 2.2.4, which is the version that package.json pins. */
const createClusterName = 'private:Kafka:createCluster';

/** What kafkajs asks a coordinator's whereabouts with. */
interface Coordinators {
  findGroupCoordinatorMetadata(asked: CoordinatorAsked): Promise<unknown>;
  readonly brokerPool: {
    findConnectedBroker(): Promise<{
      findGroupCoordinator(asked: CoordinatorAsked): Promise<unknown>;
    }>;
  };
}

interface CoordinatorAsked {
  readonly groupId: string;
  readonly coordinatorType: number;
}

const telling = new WeakSet();

/**
 * kafkajs asks each broker for a coordinator, drops what they answer, and says "not found" of a right that is missing.
 * Here the answer of one of them becomes the cause, for all that kafkajs does.
 */
function tellOfCoordinators(kafka: Kafka): void {
  const inner = Object.getPrototypeOf(innerCluster(kafka)) as Coordinators;
  if (telling.has(inner)) return;
  telling.add(inner);
  // Called on whatever cluster it was asked of.
  // eslint-disable-next-line @typescript-eslint/unbound-method
  const find = inner.findGroupCoordinatorMetadata;
  inner.findGroupCoordinatorMetadata = async function told(this: Coordinators, asked) {
    try {
      return await find.call(this, asked);
    } catch (error) {
      const broker = await this.brokerPool.findConnectedBroker();
      const cause = await broker.findGroupCoordinator(asked).then(() => null, identity);
      if (error instanceof Error && cause !== null) error.cause = cause;
      throw error;
    }
  };
}

const identity = (reason: unknown): unknown => reason;

function innerCluster(kafka: Kafka): Cluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === createClusterName,
  );
  const create = symbol && (kafka as unknown as Readonly<Record<symbol, unknown>>)[symbol];
  if (typeof create !== 'function') {
    throw new Error(`this version of kafkajs has no ${createClusterName}; spar needs 2.2.4`);
  }
  // The interface above is what that version has, and the tests on a real broker hold it to it.
  const cluster = (create as (options: object) => Cluster)({
    metadataMaxAge: 300_000,
    allowAutoTopicCreation: false,
    // Of the questions for offsets only, which are about all that was written; each fetch says for itself.
    isolationLevel: 0,
  });
  const find = cluster.findBroker.bind(cluster);
  cluster.findBroker = async (which) => handingOn(await find(which));
  return cluster;
}

/** What kafkajs sends requests with: one for each broker of a cluster. */
interface Pool {
  send(asked: Asked): Promise<unknown>;
}

interface Asked {
  readonly request: { readonly apiKey: number; readonly apiVersion: number };
  readonly response: { readonly decode: (bytes: Buffer) => unknown };
}

const fetchKey = 1;
const handedOn = new WeakSet<Pool>();

/** The answers to this broker's fetches are decoded by us; what kafkajs makes of errors in them stays. */
function handingOn(broker: Broker): Broker {
  const { connectionPool: pool } = broker as unknown as { readonly connectionPool: Pool };
  if (handedOn.has(pool)) return broker;
  handedOn.add(pool);
  const send = pool.send.bind(pool);
  pool.send = (asked) => {
    const { request, response } = asked;
    if (request.apiKey !== fetchKey) return send(asked);
    const decode = (bytes: Buffer) => decodeFetch(bytes, request.apiVersion);
    return send({ ...asked, response: { ...response, decode } });
  };
  return broker;
}

function tell(logger: Logger, { level, namespace, log }: LogEntry): void {
  const { message, error, groupId } = log as {
    readonly message: string;
    readonly error?: unknown;
    readonly groupId?: unknown;
  };
  const text = error === undefined ? message : `${message}: ${messageOf(error)}`;
  const details = {
    namespace,
    message: oneLine(text, 400),
    ...(typeof groupId === 'string' && { group: groupId }),
  };
  if (isQuiet(text) || level > logLevel.WARN) logger.debug(details, 'kafka.said');
  else logger.warn(details, 'kafka.warned');
}
