import { describe, expect, test } from 'vitest';
import { openSeen } from '../../infra/input/seen.ts';
import { memorySeen } from './support.ts';

describe.each([
  ['in a temporary file', openSeen],
  ['in a map', memorySeen],
])('ids seen, %s', (_name, open) => {
  test('are remembered as they were first met', () => {
    const seen = open();
    expect(seen.add('a', 1, 'x')).toBeNull();
    expect(seen.add('b', 2, 'x')).toBeNull();
    expect(seen.add('a', 3, 'y')).toEqual({ line: 1, digest: 'x' });
    expect(seen.add('a', 4, 'y')).toEqual({ line: 1, digest: 'x' });
    seen.close();
  });

  test.each(['', 'A', 'a ', '\u0000', "'; DROP TABLE seen", '\u00e9', 'e\u0301'])(
    'are told apart, whatever they hold: %j',
    (id) => {
      const seen = open();
      expect(seen.add('a', 1, 'x')).toBeNull();
      expect(seen.add(`${id}\u0000`, 2, 'x')).toBeNull();
      expect(seen.add(id, 3, 'x')).toBeNull();
      expect(seen.add(id, 4, 'x')?.line).toBe(3);
      seen.close();
    },
  );

  test('are nobody else’s', () => {
    const [one, other] = [open(), open()];
    one.add('a', 1, 'x');
    expect(other.add('a', 1, 'x')).toBeNull();
    one.close();
    other.close();
  });

  test('are many', () => {
    const seen = open();
    for (let line = 1; line <= 30_000; line += 1) seen.add(`id ${line}`, line, 'x'.repeat(32));
    expect(seen.add('id 1', 30_001, 'y')?.line).toBe(1);
    expect(seen.add('id 30000', 30_001, 'y')?.line).toBe(30_000);
    seen.close();
  });
});
