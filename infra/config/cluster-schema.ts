import { z } from 'zod';
import { kafkaDefaults } from '../log/kafka/settings.ts';

/** Where a cluster is and how to reach it. Without `kafka.brokers` everything runs in the home, on one machine. */

const { timeouts } = kafkaDefaults;

const file = (what: string) => z.string().min(1).optional().describe(`File with ${what}.`);

const variable = (what: string) =>
  z.string().min(1).optional().describe(`Environment variable that holds ${what}.`);

const milliseconds = (least: number, most: number, preset: number, what: string) =>
  z.int().min(least).max(most).default(preset).describe(what);

const broker = z
  .string()
  .regex(/^[^\s:,/]+:\d{1,5}$/, 'expected host:port, such as localhost:9092');

const tls = {
  ca_file: file('the certificates to trust, PEM; the platform trusts its own without'),
  cert_file: file('the certificate of this client, PEM'),
  key_file: file('the key of this client, PEM'),
};

const day = 24 * 60 * 60 * 1000;

export const kafkaSection = z
  .strictObject({
    brokers: z
      .union([
        z.string().regex(/^[^\s:,/]+:\d{1,5}(,[^\s:,/]+:\d{1,5})*$/, 'expected host:port[,…]'),
        z.array(broker).min(1),
      ])
      .optional()
      .describe('Some of the brokers, as host:port; without them everything runs in the home.'),
    client_id: z
      .string()
      .min(1)
      .max(200)
      .default(kafkaDefaults.clientId)
      .describe('Name in the logs of the brokers.'),
    partitions: z
      .int()
      .min(1)
      .max(4096)
      .nullable()
      .default(null)
      .describe(
        'Of each topic when `spar topics apply` makes it; never changed afterwards. Null for as many as the ' +
          "pipeline's topics have, six if there are none yet.",
      ),
    replication: z
      .int()
      .min(1)
      .max(32)
      .nullable()
      .default(null)
      .describe(
        'Copies of each partition; null for three, or as many as there are brokers if these are fewer.',
      ),
    tls: z
      .strictObject({
        enabled: z.boolean().default(false).describe('Whether to speak TLS to the brokers.'),
        ...tls,
      })
      .prefault({}),
    sasl: z
      .strictObject({
        mechanism: z
          .enum(['none', 'plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer'])
          .default('none')
          .describe('How to say who we are.'),
        username: z.string().min(1).optional().describe('The user, for plain and scram.'),
        password_env: variable('the password'),
        password_file: file('the password'),
        token_env: variable('a bearer token, for oauthbearer'),
        token_file: file('a bearer token; read again whenever one is needed'),
      })
      .prefault({}),
    compression: z
      .enum(['zstd', 'gzip', 'none'])
      .default(kafkaDefaults.compression)
      .describe('Of what is written; gzip where a reader knows no zstd.'),
    connect_ms: milliseconds(100, 600_000, timeouts.connectMs, 'How long connecting may take.'),
    request_ms: milliseconds(1000, 600_000, timeouts.requestMs, 'How long a request may take.'),
    session_ms: milliseconds(
      1000,
      30 * 60_000,
      timeouts.sessionMs,
      'After so long a silence a member has left its group.',
    ),
    heartbeat_ms: milliseconds(100, 60_000, timeouts.heartbeatMs, 'How often a member is heard.'),
    rebalance_ms: milliseconds(
      1000,
      30 * 60_000,
      timeouts.rebalanceMs,
      'How long a group waits for its members to join again.',
    ),
    transaction_ms: milliseconds(
      1000,
      15 * 60_000,
      timeouts.transactionMs,
      'After so long the broker undoes a transaction that was left open; readers wait for it meanwhile.',
    ),
    fetch_ms: milliseconds(1, 5000, timeouts.fetchMs, 'How long a fetch waits for something new.'),
    linger_ms: milliseconds(
      0,
      10_000,
      200,
      'How long finished work waits for company in its transaction, in place of `limits.linger_ms`.',
    ),
    handover_ms: milliseconds(
      0,
      60_000,
      timeouts.handoverMs,
      'How long whoever gets a partition waits for what its owner before has finished.',
    ),
    fetch_bytes: z
      .int()
      .min(16 * 1024)
      .max(256 * 1024 * 1024)
      .default(kafkaDefaults.fetchBytes)
      .describe('Bytes of one partition in a fetch.'),
  })
  .prefault({});

export const registrySection = z
  .strictObject({
    url: z
      .string()
      .regex(/^https?:\/\/[^\s@]+$/, 'expected a URL, without a user or password in it')
      .optional()
      .describe('The schema registry, as its Confluent API is reached.'),
    username: z.string().min(1).optional().describe('For basic authentication.'),
    password_env: variable('the password'),
    password_file: file('the password'),
    token_env: variable('a bearer token'),
    token_file: file('a bearer token'),
    ...tls,
    timeout_ms: milliseconds(100, day, 10_000, 'How long an answer may take.'),
  })
  .prefault({});
