import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { manyLines, messageOf, oneLine, withoutSecrets, sentence } from '../../infra/text.ts';

// Everything that could move a cursor, change colours or turn the reading direction.
const unsafe = /[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u;
const hostile = fc.string({
  unit: fc.oneof(
    fc.constantFrom(
      '\u001b[31m',
      '\r',
      '\n',
      '\u202e',
      '\ud83d',
      '\udc00',
      '😀',
      '\u0000',
      '\u009b',
    ),
    fc.string({ unit: 'binary', maxLength: 1 }),
  ),
  maxLength: 400,
});

describe('text from outside', () => {
  test.each([
    ['lines and blanks become one blank', ' a\r\n\tb  c ', 'a b c'],
    ['colours lose their effect', '\u001b[31mred\u001b[0m', '[31mred [0m'],
    ['the reading direction stays', 'a\u202eb\u2066c', 'a b c'],
    ['half a character goes', 'a\ud83db', 'a b'],
    ['what is long ends in a mark', 'x'.repeat(200), `${'x'.repeat(159)}…`],
    ['what just fits is left alone', 'x'.repeat(160), 'x'.repeat(160)],
    ['no character is cut in half', `${'x'.repeat(158)}😀😀`, `${'x'.repeat(158)}…`],
  ])('on one line: %s', (_name, text, expected) => {
    expect(oneLine(text)).toBe(expected);
  });

  property.prop([hostile, fc.integer({ min: 1, max: 200 })])(
    'on one line is bounded and harmless, whatever it was',
    (text, length) => {
      const line = oneLine(text, length);
      expect(line.length).toBeLessThanOrEqual(length);
      expect(line).not.toMatch(unsafe);
      expect(line.isWellFormed()).toBe(true);
    },
  );

  test.each([
    ['keeps its lines and tabs', 'a\r\nb\rc\n\td', 'a\nb\nc\n\td'],
    ['shows what was taken away', 'a\u001b[31mb\u202ec', 'a\ufffd[31mb\ufffdc'],
  ])('on many lines: %s', (_name, text, expected) => {
    expect(manyLines(text)).toBe(expected);
  });

  property.prop([hostile])('on many lines is harmless, whatever it was', (text) => {
    expect(manyLines(text).replaceAll(/[\n\t]/g, '')).not.toMatch(unsafe);
  });
});

describe('secrets', () => {
  test.each([
    [
      'wherever they turn up',
      'a sk-123456 b sk-123456',
      ['sk-123456'],
      'a [redacted] b [redacted]',
    ],
    [
      'the longer one of two that begin alike',
      'sk-123456-more',
      ['sk-123456', 'sk-123456-more'],
      '[redacted]',
    ],
    ['but not a word that is too short to be one', 'none of them', ['none', ''], 'none of them'],
  ])('are taken out %s', (_name, text, secrets, expected) => {
    expect(withoutSecrets(text, secrets)).toBe(expected);
  });

  property.prop([
    fc.string(),
    fc.array(fc.string({ minLength: 6, maxLength: 12 }), { maxLength: 4 }),
  ])('none is left', (text, secrets) => {
    // What stands in their place is not theirs.
    const foreign = secrets.filter((secret) => !'[redacted][redacted]'.includes(secret));
    const clean = withoutSecrets(foreign.join(text), foreign).replaceAll('[redacted]', '');
    for (const secret of foreign) if (!text.includes(secret)) expect(clean).not.toContain(secret);
  });
});

test.each([
  [new Error('why'), 'why'],
  ['text', 'text'],
  [undefined, 'undefined'],
])('the message of %j', (thrown, expected) => {
  expect(messageOf(thrown)).toBe(expected);
});

test.each([
  ['It is down', 'It is down.'],
  ['Is it down?', 'Is it down?'],
  ['It is down.', 'It is down.'],
  ['and so on…', 'and so on…'],
])('%j as a sentence has one stop', (text, ended) => {
  expect(sentence(text)).toBe(ended);
});
