import { RunError, Unavailable } from '../../errors.ts';
import { messageOf, oneLine } from '../../text.ts';

/** What an error of kafkajs means for whoever tried. */
export type Failure =
  /** A broker is away, or has other things to do first; it is worth trying again. */
  | 'unavailable'
  /** The leader of a partition, or a coordinator, is elsewhere by now. */
  | 'stale'
  /** The credentials or their rights do not do. */
  | 'denied'
  /** The topic is not there. */
  | 'missing'
  /** Another producer has the same transactional id, or the broker has ended the transaction. */
  | 'fenced'
  /** The broker takes no record batch of this size. */
  | 'too-large'
  /** The offset is not, or no longer, in the log. */
  | 'out-of-range';

const byType: Readonly<Record<string, Failure>> = {
  TOPIC_AUTHORIZATION_FAILED: 'denied',
  GROUP_AUTHORIZATION_FAILED: 'denied',
  CLUSTER_AUTHORIZATION_FAILED: 'denied',
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: 'denied',
  SASL_AUTHENTICATION_FAILED: 'denied',
  UNSUPPORTED_SASL_MECHANISM: 'denied',
  UNKNOWN_TOPIC_OR_PARTITION: 'missing',
  INVALID_TOPIC_EXCEPTION: 'missing',
  INVALID_PRODUCER_EPOCH: 'fenced',
  INVALID_PRODUCER_ID_MAPPING: 'fenced',
  INVALID_TXN_STATE: 'fenced',
  UNKNOWN_PRODUCER_ID: 'fenced',
  OUT_OF_ORDER_SEQUENCE_NUMBER: 'fenced',
  MESSAGE_TOO_LARGE: 'too-large',
  RECORD_LIST_TOO_LARGE: 'too-large',
  OFFSET_OUT_OF_RANGE: 'out-of-range',
  NOT_LEADER_FOR_PARTITION: 'stale',
  LEADER_NOT_AVAILABLE: 'stale',
  REPLICA_NOT_AVAILABLE: 'stale',
  FENCED_LEADER_EPOCH: 'stale',
  UNKNOWN_LEADER_EPOCH: 'stale',
};

/** PRODUCER_FENCED: newer than kafkajs, which knows no name for it. */
const producerFenced = 90;

/** Null if the error is none of kafkajs's. */
export function failureOf(error: unknown): Failure | null {
  let isTheirs = false;
  for (const one of causes(error)) {
    const { type, code, name } = one as { type?: unknown; code?: unknown; name?: unknown };
    const known = typeof type === 'string' ? byType[type] : undefined;
    if (known) return known;
    if (code === producerFenced) return 'fenced';
    if (name === 'KafkaJSSASLAuthenticationError') return 'denied';
    if (name === 'KafkaJSOffsetOutOfRange') return 'out-of-range';
    if (name === 'KafkaJSBrokerNotFound') return 'stale';
    isTheirs ||= typeof name === 'string' && name.startsWith('KafkaJS');
  }
  return isTheirs ? 'unavailable' : null;
}

/** An error of kafkajs as one sentence that says what was tried; `brokers` is where. */
export function explained(error: unknown, tried: string, brokers: readonly string[]): unknown {
  const where = brokers.join(', ');
  const said = oneLine(deepest(error), 300);
  switch (failureOf(error)) {
    case 'denied':
      return new RunError(
        `${tried}: the brokers ${where} refuse it (${said}). Check the credentials; ` +
          '`spar topics acls` lists what each command needs.',
        { cause: error },
      );
    case 'missing':
      return new RunError(
        `${tried}: the topic is not there (${said}). \`spar topics apply\` makes it.`,
        { cause: error },
      );
    case 'too-large':
      return new RunError(
        `${tried}: larger than the topic takes (${said}). \`spar topics check\` shows its limits.`,
        { cause: error },
      );
    case 'out-of-range':
      return new RunError(`${tried}: the offset is not in the log (${said}).`, { cause: error });
    case null:
      return error;
    default:
      return new Unavailable(`${tried}: the brokers ${where} do not answer (${said})`, {
        cause: error,
      });
  }
}

export function* causes(error: unknown): Generator<object> {
  // kafkajs wraps an error once for each layer that has tried again; none of them is deep.
  for (let one = error, depth = 0; typeof one === 'object' && one !== null && depth < 16; depth++) {
    yield one;
    one = (one as { readonly cause?: unknown }).cause;
  }
}

const deepest = (error: unknown): string => messageOf([...causes(error)].at(-1) ?? error);

/** Topics of one pipeline, in as few words as a sentence bears. */
export const listed = (names: readonly string[]): string => {
  const [first = '', second, ...others] = names;
  if (second === undefined) return first;
  return others.length === 0
    ? `${first} and ${second}`
    : `${first} and ${others.length + 1} others`;
};
