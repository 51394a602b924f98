import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Kafka, logLevel } from 'kafkajs';
import { cacheFolder, ensure, kafka, type Progress } from './artifacts.ts';
import { findJava } from './java.ts';
import { claimPort, host } from './ports.ts';
import {
  adminIn,
  certificatesIn,
  checkUser,
  scramArguments,
  securityProperties,
  type Certificates,
  type User,
} from './security.ts';
import { startIn, startService, tellingLines, type Service } from './service.ts';

/** A real Kafka broker of one node, which is its own controller. */
export interface Broker extends Service {
  /** `host:port`, what clients are given; stays the same over a restart. */
  readonly brokers: string;
  /** Null for one that takes everybody. */
  readonly security: (Certificates & { readonly admin: User }) | null;
}

export interface BrokerOptions {
  /** For its data; a broker that finds some goes on with it. Without one: a temporary folder. */
  readonly folder?: string;
  /** For clients; 0, the default, picks a free one. */
  readonly port?: number;
  /** For the broker's own talk with its controller; 0, the default, picks a free one. */
  readonly controllerPort?: number;
  /**
   * TLS, SASL and ACLs: these users may come in, and do what ACLs allow them. `security` of the broker then has the
   * super user, who may make ACLs.
   */
  readonly users?: readonly User[];
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
  const users = options.users ?? [];
  for (const user of users) checkUser(user);
  const [java, jars] = await Promise.all([
    findJava(),
    ensure(kafka, options.cache ?? cacheFolder(), options.progress ?? (() => undefined)),
  ]);
  const classPath = ['-cp', join(jars, '*')];
  const port = await claimPort(options.port ?? 0, 'the broker');
  const controllerPort = await claimPort(options.controllerPort ?? 0, "the broker's controller");
  return startIn(options.folder, async (place) => {
    const security = options.users ? await securityIn(place.folder) : null;
    const config = join(place.folder, 'server.properties');
    const data = join(place.folder, 'data');
    const lines = {
      ...properties(port, controllerPort, data),
      ...(security && securityProperties(users, security)),
      ...options.properties,
    };
    writeFileSync(config, propertiesText(lines), { mode: 0o600 });
    const identity = join(data, 'meta.properties');
    if (!existsSync(identity)) await format(java, classPath, config, users);
    const clusterId = idIn(identity);
    const brokers = `${host}:${port}`;
    const service = await startService({
      name: 'the broker',
      java,
      args: ['-Xmx512m', ...logging, ...classPath, 'kafka.Kafka', config],
      place,
      ready: () => answers(brokers, security, clusterId),
    });
    return Object.assign(service, { brokers, security });
  });
}

/** Makes the empty cluster: its id, and the users whose passwords are kept in it. */
async function format(
  java: string,
  classPath: readonly string[],
  config: string,
  users: readonly User[],
): Promise<void> {
  const tool = ['kafka.tools.StorageTool', 'format', '-t', newId(), '-c', config];
  const args = [...quickStart, ...classPath, ...tool, ...scramArguments(users)];
  await new Promise<void>((resolve, reject) => {
    execFile(java, args, (error, stdout, stderr) => {
      // Its own message repeats the command, passwords included.
      const output = tellingLines(stdout + stderr);
      if (error) reject(new Error(`the broker's folder could not be made:\n${output}`));
      else resolve();
    });
  });
}

async function securityIn(folder: string): Promise<NonNullable<Broker['security']>> {
  const own = join(folder, 'security');
  return { ...(await certificatesIn(own)), admin: adminIn(own) };
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
/** Not one that begins like an option, as one in 64 would. */
function newId(): string {
  const id = randomBytes(16).toString('base64url');
  return id.startsWith('-') ? newId() : id;
}

function idIn(file: string): string {
  const [, id] = /^cluster\.id=(.+)$/m.exec(readFileSync(file, 'utf8')) ?? [];
  if (id === undefined) throw new Error(`${file} names no cluster.id: is this folder a broker's?`);
  return id;
}

/** A port that takes connections belongs to no broker that is ready yet; one that answers may be another's. */
async function answers(
  brokers: string,
  security: Broker['security'],
  clusterId: string,
): Promise<void> {
  const admin = new Kafka({
    clientId: 'spar-cluster',
    brokers: [brokers],
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
    connectionTimeout: 1000,
    requestTimeout: 2000,
    ...(security && {
      ssl: { ca: security.ca },
      sasl: {
        mechanism: 'plain',
        username: security.admin.name,
        password: security.admin.password,
      },
    }),
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
