import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { cacheFolder, ensure, kafka, type Progress } from './artifacts.ts';
import { findJava } from './java.ts';
import { claimPort, host } from './ports.ts';
import { placeAt, startService, type Service } from './service.ts';

/** A real Kafka broker of one node, which is its own controller. */
export interface Broker extends Service {
  /** `host:port`, what clients are given; stays the same over a restart. */
  readonly brokers: string;
}

export interface BrokerOptions {
  /** For its data; a broker that finds some goes on with it. Without one: a temporary folder. */
  readonly folder?: string;
  /** For clients; 0, the default, picks a free one. */
  readonly port?: number;
  /** For the broker's own talk with its controller; 0, the default, picks a free one. */
  readonly controllerPort?: number;
  /** Lines of `server.properties` that come last, and so win. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Where fetched files are kept. */
  readonly cache?: string;
  /** Hears what takes long: the first start fetches what is run. */
  readonly progress?: Progress;
}

/**
 * Starts a broker; it is ready for clients when this resolves. It ends with this process, however that ends.
 *
 * @throws UsageError if Java, Maven or a wanted port cannot be had, or a file is not what the lock says
 * @throws Error with the end of its log if it does not come up
 */
export async function startBroker(options: BrokerOptions = {}): Promise<Broker> {
  const [java, jars] = await Promise.all([
    findJava(),
    ensure(kafka, options.cache ?? cacheFolder(), options.progress ?? (() => undefined)),
  ]);
  const port = await claimPort(options.port ?? 0, 'the broker');
  const controllerPort = await claimPort(options.controllerPort ?? 0, "the broker's controller");
  const place = placeAt(options.folder);
  const classPath = ['-cp', join(jars, '*')];
  const config = join(place.folder, 'server.properties');
  const data = join(place.folder, 'data');
  writeFileSync(
    config,
    propertiesText({ ...properties(port, controllerPort, data), ...options.properties }),
  );
  if (!existsSync(join(data, 'meta.properties'))) {
    const format = ['kafka.tools.StorageTool', 'format', '-t', newId(), '-c', config];
    await promisify(execFile)(java, [...quickStart, ...classPath, ...format]);
  }
  const clusterId = idIn(join(data, 'meta.properties'));
  const brokers = `${host}:${port}`;
  const service = await startService({
    name: 'the broker',
    java,
    args: ['-Xmx512m', ...logging, ...classPath, 'kafka.Kafka', config],
    place,
    ready: () => answers(brokers, clusterId),
  });
  return Object.assign(service, { brokers });
}

/** For a JVM that lives for a second. */
const quickStart = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

const logging = [
  '-Dorg.slf4j.simpleLogger.showDateTime=true',
  '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
];

function properties(
  port: number,
  controllerPort: number,
  data: string,
): Readonly<Record<string, string>> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@${host}:${controllerPort}`,
    listeners: `CLIENTS://${host}:${port},CONTROLLER://${host}:${controllerPort}`,
    'advertised.listeners': `CLIENTS://${host}:${port}`,
    'listener.security.protocol.map': 'CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'CLIENTS',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': data,
    // There is only one broker to put a replica on.
    'offsets.topic.replication.factor': '1',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    // A test has no second member to wait for.
    'group.initial.rebalance.delay.ms': '0',
    // After SIGKILL the new process is let in when the session of the old one is over: 4.6 s instead of 12.
    'broker.session.timeout.ms': '3000',
    'broker.heartbeat.interval.ms': '1000',
    // A mistyped topic is an error here, as it is in production.
    'auto.create.topics.enable': 'false',
  };
}

const propertiesText = (all: Readonly<Record<string, string>>): string =>
  Object.entries(all)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('');

/** Sixteen random bytes in 22 characters, as Kafka wants its ids. */
const newId = (): string => randomBytes(16).toString('base64url');

function idIn(file: string): string {
  const [, id] = /^cluster\.id=(.+)$/m.exec(readFileSync(file, 'utf8')) ?? [];
  if (id === undefined) throw new Error(`${file} names no cluster.id: is this folder a broker's?`);
  return id;
}

/** A port that takes connections belongs to no broker that is ready yet; one that answers may be another's. */
async function answers(brokers: string, clusterId: string): Promise<void> {
  const admin = new Kafka({
    clientId: 'spar-cluster',
    brokers: [brokers],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    connectionTimeout: 1000,
    requestTimeout: 2000,
  }).admin();
  try {
    await admin.connect();
    const cluster = await admin.describeCluster();
    if (cluster.clusterId !== clusterId) {
      throw new Error(`${brokers} is the broker of another cluster, ${cluster.clusterId}`);
    }
    if (cluster.brokers.length === 0) throw new Error('the broker is not yet a member');
  } finally {
    await admin.disconnect();
  }
}
