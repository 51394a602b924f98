/** How to reach a cluster; secrets are values here, and appear nowhere else. */
export interface KafkaSettings {
  /** `host:port` of some of its brokers. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** Null for plain text. */
  readonly tls: TlsSettings | null;
  readonly sasl: SaslSettings | null;
  readonly compression: 'zstd' | 'gzip' | 'none';
  readonly timeouts: KafkaTimeouts;
  /** Bytes of one partition that a fetch asks for. */
  readonly fetchBytes: number;
}

export interface TlsSettings {
  /** PEM; null where the platform's certificates do. */
  readonly ca: string | null;
  readonly cert: string | null;
  readonly key: string | null;
}

export type SaslSettings =
  | {
      readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
      readonly username: string;
      readonly password: string;
    }
  | { readonly mechanism: 'oauthbearer'; readonly token: () => Promise<string> };

/** All in milliseconds. */
export interface KafkaTimeouts {
  readonly connectMs: number;
  readonly requestMs: number;
  /** A member that is silent for so long has left its group. */
  readonly sessionMs: number;
  readonly heartbeatMs: number;
  /** How long a group waits for its members to join again. */
  readonly rebalanceMs: number;
  /** After which the broker ends a transaction of somebody who is gone; readers wait for that long at most. */
  readonly transactionMs: number;
  /** How long a fetch waits at the broker for records to come. */
  readonly fetchMs: number;
  /** How long a new owner of a partition waits for what the old one has finished. */
  readonly handoverMs: number;
}

export const kafkaDefaults: Omit<KafkaSettings, 'brokers'> = {
  clientId: 'spar',
  tls: null,
  sasl: null,
  compression: 'zstd',
  timeouts: {
    connectMs: 10_000,
    requestMs: 30_000,
    sessionMs: 45_000,
    heartbeatMs: 3_000,
    rebalanceMs: 60_000,
    transactionMs: 15_000,
    fetchMs: 100,
    handoverMs: 500,
  },
  fetchBytes: 1024 * 1024,
};
