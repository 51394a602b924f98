const units =
  'zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen ' +
  'eighteen nineteen';
const ordinals =
  'zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth ' +
  'fifteenth sixteenth seventeenth eighteenth nineteenth';
const tens = 'twenty thirty forty fifty sixty seventy eighty ninety';

const values: ReadonlyMap<string, number> = new Map([
  ...units.split(' ').map((word, value) => [word, value] as const),
  ...ordinals.split(' ').map((word, value) => [word, value] as const),
  ...tens.split(' ').map((word, index) => [word, 20 + 10 * index] as const),
  ...([
    ['no', 0],
    ['a', 1],
    ['an', 1],
    ['once', 1],
    ['single', 1],
    ['twice', 2],
    ['pair', 2],
    ['both', 2],
    ['couple', 2],
    // What is separated is two things.
    ['separate', 2],
    ['thrice', 3],
  ] as const),
]);

const scales: ReadonlyMap<string, number> = new Map([
  ['dozen', 12],
  ['hundred', 100],
]);

/**
 * All numbers that an English text may speak of, in digits or in words: `1,200`, `3rd`, `twenty-five`, `two hundred
 * and fifty`, `twice`. What stands before a longer number counts, too, since `one hundred` begins with one.
 */
export function numbersIn(text: string): ReadonlySet<number> {
  const found = new Set<number>();
  for (const [digits] of text.matchAll(/\d+(?:,\d{3})*/g))
    found.add(Number(digits.replaceAll(',', '')));
  // `two thousand` stays while the hundreds after it are read.
  let [thousands, rest, isNumber] = [0, 0, false];
  for (const [word] of text.toLowerCase().matchAll(/[a-z]+/g)) {
    const value = values.get(word);
    const scale = scales.get(word);
    if (value !== undefined) {
      found.add(value);
      rest = rest % 10 === 0 ? rest + value : value;
    } else if (scale !== undefined) rest = Math.max(1, rest) * scale;
    else if (word === 'thousand') [thousands, rest] = [Math.max(1, rest) * 1000, 0];
    // `two hundred and fifty` is one number; any other word ends it.
    else if (word !== 'and' || !isNumber) {
      [thousands, rest, isNumber] = [0, 0, false];
      continue;
    }
    isNumber = true;
    found.add(rest).add(thousands + rest);
  }
  return found;
}
