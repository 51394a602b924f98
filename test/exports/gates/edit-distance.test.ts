import { fc, test as property } from '@fast-check/vitest';
import { expect, test } from 'vitest';
import { editDistance } from '../../../infra/exports/gates/edit-distance.ts';

test.each([
  ['the same text', 'a b', 'a b', 0],
  ['nothing in common', 'ab', 'cd', 1],
  ['two empty texts', '', '', 0],
  ['one empty text', '', 'a b', 1],
  // a, gap, b, gap, c, full stop
  ['a mark', 'a b c.', 'a b c!', 1 / 6],
  ['a gap that is wider', 'a b', 'a\n\nb', 1 / 3],
  ['a letter in upper case', 'a b', 'A b', 1 / 3],
  ['a word put in', 'a b', 'a x b', 2 / 5],
])('%s', (_name, one, other, distance) => {
  expect(editDistance(one, other)).toBeCloseTo(distance, 12);
});

/** The table, cell by cell. */
function plainDistance(one: readonly string[], other: readonly string[]): number {
  let above = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (const [row, piece] of one.entries()) {
    const line = [row + 1];
    for (const [column, another] of other.entries()) {
      line.push(
        Math.min(
          line[column]! + 1,
          above[column + 1]! + 1,
          above[column]! + (piece === another ? 0 : 1),
        ),
      );
    }
    above = line;
  }
  return above.at(-1)!;
}

/** Few different marks, so that much is equal; enough of them for several blocks of 32. */
const marks = fc.array(fc.constantFrom('.', ',', '!', '-'), { maxLength: 150 });

property.prop([marks, marks], { numRuns: 300 })('is what the whole table says', (one, other) => {
  const longer = Math.max(one.length, other.length, 1);
  expect(editDistance(one.join(''), other.join(''))).toBeCloseTo(
    plainDistance(one, other) / longer,
    12,
  );
});

property.prop([fc.string(), fc.string()])('is the same both ways, from 0 to 1', (one, other) => {
  const distance = editDistance(one, other);
  expect(distance).toBe(editDistance(other, one));
  expect(distance).toBeGreaterThanOrEqual(0);
  expect(distance).toBeLessThanOrEqual(1);
  expect(distance === 0).toBe(one === other);
});
