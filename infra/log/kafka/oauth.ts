import kafkajs, { type Mechanism } from 'kafkajs';
import { messageOf } from '../../text.ts';

// It is CommonJS, and Node finds only some of its names by itself.
const { KafkaJSConnectionError, KafkaJSNonRetriableError } = kafkajs;

/** How long a token may be refused, or not there, that is renewed a moment late. */
const graceMs = 120_000;

/**
 * OAUTHBEARER with tokens that end. At the beginning a token that does not do is a mistake in the settings. Later on it
 * is one that has just ended, in a file that is being written: brokers that refuse it count as away, for a while.
 */
export function oauthBearer(
  token: () => Promise<string>,
  now: () => number = () => performance.now(),
): Mechanism {
  let taken = false;
  let refusedMs: number | null = null;
  const refused = (cause: unknown, broker: string): Error => {
    refusedMs ??= now();
    const text = `SASL OAUTHBEARER: ${broker} was not given a token that it takes: ${messageOf(cause)}`;
    return taken && now() - refusedMs <= graceMs
      ? new KafkaJSConnectionError(text, { broker })
      : Object.assign(new KafkaJSNonRetriableError(text), {
          name: 'KafkaJSSASLAuthenticationError',
        });
  };
  return {
    mechanism: 'oauthbearer',
    authenticationProvider: ({ host, port, saslAuthenticate }) => ({
      authenticate: async () => {
        const broker = `${host}:${port}`;
        const value = await token().catch((error: unknown) => {
          throw refused(error, broker);
        });
        const request = { encode: () => sized(`n,,\u0001auth=Bearer ${value}\u0001\u0001`) };
        // A broker that refuses says so in what it answers, and waits for a last word that nobody owes it.
        const response = { decode: (bytes: Buffer) => bytes.subarray(sizeBytes), parse: String };
        try {
          const said = await saslAuthenticate({ request, response });
          if (said) throw refused(said, broker);
        } catch (error) {
          if ((error as { readonly type?: unknown }).type !== 'SASL_AUTHENTICATION_FAILED')
            throw error;
          throw refused(error, broker);
        }
        taken = true;
        refusedMs = null;
      },
    }),
  };
}

const sizeBytes = 4;

/** With its length before it, as kafkajs hands on what is sent and what is answered. */
function sized(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(sizeBytes);
  length.writeInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
