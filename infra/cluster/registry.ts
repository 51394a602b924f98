import { join } from 'node:path';
import { cacheFolder, ensure, registry, registryJar, type Progress } from './artifacts.ts';
import { findJava } from './java.ts';
import { claimPort, host } from './ports.ts';
import { placeAt, startService, type Service } from './service.ts';

/** A real schema registry, Apicurio, with Confluent's API. */
export interface RegistryServer extends Service {
  /** Up to and including `/apis/ccompat/v7`: what clients are given. */
  readonly url: string;
}

export interface RegistryOptions {
  /** For its data; a registry that finds some goes on with it, and with its ids. Without one: a temporary folder. */
  readonly folder?: string;
  /** 0, the default, picks a free one. */
  readonly port?: number;
  /** Where fetched files are kept. */
  readonly cache?: string;
  /** Hears what takes long: the first start fetches what is run. */
  readonly progress?: Progress;
}

/**
 * Starts a registry; it answers when this resolves. It ends with this process, however that ends.
 *
 * @throws UsageError if Java, Maven or a wanted port cannot be had, or a file is not what the lock says
 * @throws Error with the end of its log if it does not come up
 */
export async function startRegistry(options: RegistryOptions = {}): Promise<RegistryServer> {
  const [java, jars] = await Promise.all([
    findJava(),
    ensure(registry, options.cache ?? cacheFolder(), options.progress ?? (() => undefined)),
  ]);
  const port = await claimPort(options.port ?? 0, 'the registry');
  const place = placeAt(options.folder);
  const url = `http://${host}:${port}/apis/ccompat/v7`;
  const settings = {
    'quarkus.http.host': host,
    'quarkus.http.port': port,
    // In a file, and written before it answers: ids that are on the broker's records outlive a kill.
    'apicurio.datasource.url': `jdbc:h2:file:${join(place.folder, 'schemas')};WRITE_DELAY=0`,
    // Connections that it opens at the start; 20 by default.
    'apicurio.datasource.jdbc.initial-size': 1,
    'apicurio.datasource.jdbc.min-size': 1,
  };
  const service = await startService({
    name: 'the registry',
    java,
    args: [
      ...['-Xmx512m', ...quickStart],
      ...Object.entries(settings).map(([name, value]) => `-D${name}=${value}`),
      ...['-jar', join(jars, registryJar)],
    ],
    place,
    ready: () => answers(url),
  });
  return Object.assign(service, { url });
}

/** It answers a handful of requests in its life: starting 0.7 s sooner is worth more than speed. */
const quickStart = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

const askMsMax = 5000;

async function answers(url: string): Promise<void> {
  const response = await fetch(`${url}/subjects`, { signal: AbortSignal.timeout(askMsMax) });
  await response.text();
  if (!response.ok) throw new Error(`it answered ${response.status}`);
}
