import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { cacheFolder, ensure, registry, registryJar, type Progress } from './artifacts.ts';
import { findJava } from './java.ts';
import { claimPort, host } from './ports.ts';
import { certificatesIn, type Certificates } from './security.ts';
import { startIn, startService, type Service } from './service.ts';

/** A real schema registry, Apicurio, with Confluent's API. */
export interface RegistryServer extends Service {
  /** Up to and including `/apis/ccompat/v7`: what clients are given. */
  readonly url: string;
  /** What a client needs to trust it; null without TLS. */
  readonly certificates: Certificates | null;
}

export interface RegistryOptions {
  /** For its data; a registry that finds some goes on with it, and with its ids. Without one: a temporary folder. */
  readonly folder?: string;
  /** 0, the default, picks a free one. */
  readonly port?: number;
  /** HTTPS, and nothing else. */
  readonly tls?: boolean;
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
  return startIn(options.folder, async (place) => {
    const certificates = options.tls ? await certificatesIn(join(place.folder, 'security')) : null;
    const url = `${certificates ? 'https' : 'http'}://${host}:${port}/apis/ccompat/v7`;
    const settings = {
      'quarkus.http.host': host,
      ...(certificates
        ? {
            'quarkus.http.insecure-requests': 'disabled',
            'quarkus.http.ssl-port': port,
            'quarkus.http.ssl.certificate.files': certificates.server.certificate,
            'quarkus.http.ssl.certificate.key-files': certificates.server.key,
          }
        : { 'quarkus.http.port': port }),
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
      ready: () => answers(url, certificates?.ca),
    });
    return Object.assign(service, { url, certificates });
  });
}

/** It answers a handful of requests in its life: starting 0.7 s sooner is worth more than speed. */
const quickStart = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];

const askMsMax = 5000;

/** `fetch` takes no authority of its own; `get` does. */
const answers = (url: string, ca: string | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = (ca === undefined ? http : https).get(
      `${url}/subjects`,
      { timeout: askMsMax, ...(ca !== undefined && { ca }) },
      (response) => {
        response.resume();
        if (response.statusCode === 200) resolve();
        else reject(new Error(`it answered ${response.statusCode}`));
      },
    );
    request.once('timeout', () => request.destroy(new Error('it did not answer')));
    request.once('error', reject);
  });
