import { readFile } from 'node:fs/promises';
import type { Auth, ConfluentRegistryOptions, Tls } from '../codec/confluent-registry.ts';
import { UsageError } from '../errors.ts';
import type { KafkaSettings, SaslSettings, TlsSettings } from '../log/kafka/settings.ts';
import type { TopicsAsked } from '../topics/wanted.ts';
import { fileText } from './file-text.ts';
import type { Config } from './schema.ts';

/** How to reach a cluster; secrets are values here. */
export interface ClusterSettings {
  readonly kafka: KafkaSettings;
  readonly registry: ConfluentRegistryOptions;
  /** Values that must never be written anywhere; each token that is read joins them. */
  readonly secrets: readonly string[];
}

/** Secrets that are remembered: those of the start, and the last tokens. */
const secretsMax = 200;

/** What a config says of the topics of its pipeline. */
export const topicsAsked = ({ pipeline, kafka }: Config): TopicsAsked => ({
  pipeline,
  partitions: kafka.partitions,
  replication: kafka.replication,
  compression: kafka.compression,
});

/**
 * Null if the config names no brokers: then everything runs in the home.
 *
 * @throws UsageError if there is no registry, or a secret cannot be read
 */
export function resolveCluster(
  config: Config,
  environment: NodeJS.ProcessEnv,
): ClusterSettings | null {
  const { kafka, registry } = config;
  if (kafka.brokers === undefined) return null;
  if (registry.url === undefined) {
    throw new UsageError(
      'there are brokers and no schema registry: give --registry, or registry.url in a config file',
    );
  }
  const secrets: string[] = [];
  const secret = (value: string | null): string | null => {
    if (value !== null && !secrets.includes(value)) secrets.push(value);
    // A worker that lives for months reads many tokens; those that ended long ago open nothing.
    if (secrets.length > secretsMax) secrets.splice(secretsMax / 2, 1);
    return value;
  };
  return {
    kafka: {
      brokers: [kafka.brokers].flat().flatMap((text) => text.split(',')),
      clientId: kafka.client_id,
      tls: kafka.tls.enabled ? tlsOf('kafka.tls', kafka.tls, secret) : null,
      sasl: saslOf(kafka.sasl, secret, environment),
      compression: kafka.compression,
      timeouts: {
        connectMs: kafka.connect_ms,
        requestMs: kafka.request_ms,
        sessionMs: kafka.session_ms,
        heartbeatMs: heartbeatMs(kafka),
        rebalanceMs: kafka.rebalance_ms,
        transactionMs: kafka.transaction_ms,
        fetchMs: kafka.fetch_ms,
        handoverMs: kafka.handover_ms,
      },
      fetchBytes: kafka.fetch_bytes,
    },
    registry: registryOptions({ ...registry, url: registry.url }, secret, environment),
    secrets,
  };
}

/** Three heartbeats fit into a session, as the brokers' own advice has it. */
const heartbeatMs = ({ heartbeat_ms, session_ms }: Config['kafka']): number =>
  Math.min(heartbeat_ms, Math.floor(session_ms / 3));

function tlsOf(
  where: string,
  {
    ca_file,
    cert_file,
    key_file,
  }: Pick<Config['kafka']['tls'], 'ca_file' | 'cert_file' | 'key_file'>,
  secret: (value: string | null) => string | null,
): TlsSettings {
  if ((cert_file === undefined) !== (key_file === undefined)) {
    throw new UsageError(`${where}: cert_file and key_file go together`);
  }
  const read = (name: string, path: string | undefined): string | null =>
    path === undefined ? null : fileText(`${where}.${name}`, path);
  return {
    ca: read('ca_file', ca_file),
    cert: read('cert_file', cert_file),
    key: secret(read('key_file', key_file)),
  };
}

function registryOptions(
  registry: Config['registry'] & { readonly url: string },
  secret: (value: string | null) => string | null,
  environment: NodeJS.ProcessEnv,
): ConfluentRegistryOptions {
  const { username, timeout_ms: timeoutMs } = registry;
  const of = (what: string, file: string | undefined, variable: string | undefined) =>
    secret(secretOf('the registry', what, file, variable, environment));
  const password = of('password', registry.password_file, registry.password_env);
  const token = of('token', registry.token_file, registry.token_env);
  if ((password === null) !== (username === undefined)) {
    throw new UsageError(
      'registry: a username and a password (password_env or password_file) go together',
    );
  }
  if (password !== null && token !== null) {
    throw new UsageError('registry: give a password or a token, not both');
  }
  let auth: Auth | undefined;
  if (token !== null) auth = { token };
  else if (username !== undefined && password !== null) auth = { user: username, password };
  const { ca, cert, key } = tlsOf('registry', registry, secret);
  const tls: Tls = {
    ...(ca !== null && { ca }),
    ...(cert !== null && { certificate: cert }),
    ...(key !== null && { key }),
  };
  return { url: registry.url, timeoutMs, auth, tls };
}

function saslOf(
  sasl: Config['kafka']['sasl'],
  secret: (value: string | null) => string | null,
  environment: NodeJS.ProcessEnv,
): SaslSettings | null {
  const { mechanism, username } = sasl;
  if (mechanism === 'none') return null;
  if (mechanism === 'oauthbearer') {
    const { token_file: file } = sasl;
    const first = secret(secretOf('kafka.sasl', 'token', file, sasl.token_env, environment));
    if (first === null) {
      throw new UsageError('kafka.sasl: oauthbearer needs token_env or token_file');
    }
    // Tokens end; whoever renews one writes it to the file.
    const token =
      file === undefined
        ? () => Promise.resolve(first)
        : async () => {
            const read = (await readFile(file, 'utf8')).trim();
            // Whoever writes it may be at it.
            if (read === '') throw new Error(`the token_file ${file} is empty`);
            return secret(read) ?? read;
          };
    return { mechanism, token };
  }
  const password = secret(
    secretOf('kafka.sasl', 'password', sasl.password_file, sasl.password_env, environment),
  );
  if (username === undefined || password === null) {
    throw new UsageError(
      `kafka.sasl: ${mechanism} needs a username, and a password in password_env or password_file`,
    );
  }
  return { mechanism, username, password };
}

function secretOf(
  where: string,
  what: string,
  file: string | undefined,
  variable: string | undefined,
  environment: NodeJS.ProcessEnv,
): string | null {
  if (file !== undefined) {
    const text = fileText(`${where}'s ${what}_file`, file).trim();
    if (text === '') throw new UsageError(`${where}'s ${what}_file ${file} is empty`);
    return text;
  }
  if (variable === undefined) return null;
  const value = environment[variable];
  if (!value) {
    throw new UsageError(
      `${where}'s ${what} should be in ${variable}, but that variable is empty or not set`,
    );
  }
  return value;
}
