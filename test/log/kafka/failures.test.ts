import { describe, expect, test } from 'vitest';
import { RunError, Unavailable } from '../../../infra/errors.ts';
import { explained, failureOf } from '../../../infra/log/kafka/failures.ts';

/** As kafkajs makes them. */
const error = (fields: object, message = 'the broker says no'): Error =>
  Object.assign(new Error(message), { name: 'KafkaJSProtocolError' }, fields);

describe('what an error of kafkajs means', () => {
  test.each([
    ['a broker that is away', error({ name: 'KafkaJSConnectionError' }), 'unavailable'],
    ['one that is busy', error({ type: 'COORDINATOR_LOAD_IN_PROGRESS' }), 'unavailable'],
    ['an error that we do not know by name', error({ type: 'SOMETHING_NEW' }), 'unavailable'],
    ['a leader that has moved', error({ type: 'NOT_LEADER_FOR_PARTITION' }), 'stale'],
    ['a broker that is no longer there', error({ name: 'KafkaJSBrokerNotFound' }), 'stale'],
    ['a topic that is not ours', error({ type: 'TOPIC_AUTHORIZATION_FAILED' }), 'denied'],
    ['a wrong password', error({ name: 'KafkaJSSASLAuthenticationError' }), 'denied'],
    ['no topic', error({ type: 'UNKNOWN_TOPIC_OR_PARTITION' }), 'missing'],
    ['a newer owner', error({ type: 'INVALID_PRODUCER_EPOCH' }), 'fenced'],
    ['a newer owner, as newer brokers say it', error({ code: 90 }), 'fenced'],
    ['a transaction that the broker has ended', error({ type: 'INVALID_TXN_STATE' }), 'fenced'],
    ['a batch that is too large', error({ type: 'MESSAGE_TOO_LARGE' }), 'too-large'],
    ['an offset that is gone', error({ name: 'KafkaJSOffsetOutOfRange' }), 'out-of-range'],
  ])('%s', (_name, thrown, failure) => {
    expect(failureOf(thrown)).toBe(failure);
  });

  test('is found behind the errors that wrap it', () => {
    const deep = error({ type: 'INVALID_PRODUCER_EPOCH' });
    const wrapped = error({ name: 'KafkaJSNumberOfRetriesExceeded', cause: deep });
    expect(failureOf(error({ name: 'KafkaJSNonRetriableError', cause: wrapped }))).toBe('fenced');
    expect(failureOf(new Unavailable('we say it our way', { cause: wrapped }))).toBe('fenced');
  });

  test.each([
    ['an error of ours', new Error('a bug')],
    ['a text', 'no'],
    ['nothing', null],
    ['nothing at all', undefined],
  ])('%s is none', (_name, thrown) => {
    expect(failureOf(thrown)).toBeNull();
    expect(explained(thrown, 'reading', ['b:1'])).toBe(thrown);
  });

  test('is looked for to a bound, also in a circle', () => {
    const circle = error({ name: 'KafkaJSError' });
    Object.assign(circle, { cause: circle });
    expect(failureOf(circle)).toBe('unavailable');
  });
});

describe('for people it is one sentence', () => {
  test.each([
    ['denied', error({ type: 'GROUP_AUTHORIZATION_FAILED' }), RunError, /b:1, b:2.*credentials/],
    ['missing', error({ type: 'UNKNOWN_TOPIC_OR_PARTITION' }), RunError, /spar topics apply/],
    ['too large', error({ type: 'RECORD_LIST_TOO_LARGE' }), RunError, /spar topics check/],
    ['out of range', error({ type: 'OFFSET_OUT_OF_RANGE' }), RunError, /not in the log/],
    ['fenced', error({ type: 'INVALID_PRODUCER_EPOCH' }), Unavailable, /do not answer/],
    ['away', error({ name: 'KafkaJSConnectionError' }), Unavailable, /b:1, b:2 do not answer/],
  ])('%s', (_name, thrown, kind, words) => {
    const said = explained(thrown, 'reading t', ['b:1', 'b:2']);
    expect(said).toBeInstanceOf(kind);
    expect(said).toMatchObject({ message: expect.stringMatching(words), cause: thrown });
    expect((said as Error).message).toMatch(/^reading t: /);
  });

  test('with what the broker said, on one line, and not what was wrapped around it', () => {
    const deep = error({ type: 'UNKNOWN' }, 'the broker\nsays no');
    const said = explained(
      error({ name: 'KafkaJSNonRetriableError', cause: deep }, 'tried five times'),
      'reading t',
      ['b:1'],
    );
    expect((said as Error).message).toBe(
      'reading t: the brokers b:1 do not answer (the broker says no)',
    );
  });
});
