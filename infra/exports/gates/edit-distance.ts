/**
 * How much two texts differ, from 0 (not at all) to 1: words, gaps and marks to insert, delete or replace, as a share
 * of the longer text. Marks and gaps count, since a constraint may be about nothing else.
 */
export function editDistance(one: string, other: string): number {
  const [a, b] = [piecesOf(one), piecesOf(other)];
  const longer = Math.max(a.length, b.length);
  if (longer === 0) return 0;
  // What a refinement left alone at both ends, which is most of it.
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (
    end < Math.min(a.length, b.length) - start &&
    a[a.length - 1 - end] === b[b.length - 1 - end]
  ) {
    end += 1;
  }
  return distance(a.slice(start, a.length - end), b.slice(start, b.length - end)) / longer;
}

const piecesOf = (text: string): readonly string[] =>
  text.match(/[\p{L}\p{M}\p{N}]+|\s+|./gsu) ?? [];

/**
 * Levenshtein distance, 32 rows of the table at a time: a column is kept as the steps up and down between its rows,
 * and one sum carries them to the next column.
 *
 * Source: Myers, "A fast bit-vector algorithm for approximate string matching" (1999), as Hyyrö (2003) has it for
 * whole distances.
 */
function distance(text: readonly string[], pattern: readonly string[]): number {
  if (pattern.length === 0) return text.length;
  const blocks = Math.ceil(pattern.length / 32);
  const up = new Int32Array(blocks).fill(-1);
  const down = new Int32Array(blocks);
  const places = placesIn(pattern, blocks);
  const nowhere = new Int32Array(blocks);
  const last = 1 << ((pattern.length - 1) % 32);
  let score = pattern.length;
  for (const piece of text) {
    const equal = places.get(piece) ?? nowhere;
    // The row above the table grows by one with each column.
    let carry = 1;
    for (let block = 0; block < blocks; block += 1) {
      const [u, d] = [up[block] ?? 0, down[block] ?? 0];
      const vertical = (equal[block] ?? 0) | d;
      const same = (equal[block] ?? 0) | (carry < 0 ? 1 : 0);
      const across = (((same & u) + u) ^ u) | same;
      let more = d | ~(across | u);
      let less = u & across;
      const top = block === blocks - 1 ? last : 1 << 31;
      const next = more & top ? 1 : less & top ? -1 : 0;
      more = (more << 1) | (carry > 0 ? 1 : 0);
      less = (less << 1) | (carry < 0 ? 1 : 0);
      up[block] = less | ~(vertical | more);
      down[block] = more & vertical;
      carry = next;
    }
    score += carry;
  }
  return score;
}

/** Where each piece of the pattern stands, one bit a row. */
function placesIn(pattern: readonly string[], blocks: number): ReadonlyMap<string, Int32Array> {
  const places = new Map<string, Int32Array>();
  for (const [row, piece] of pattern.entries()) {
    const bits = places.get(piece) ?? new Int32Array(blocks);
    places.set(piece, bits);
    bits[row >> 5] = (bits[row >> 5] ?? 0) | (1 << (row & 31));
  }
  return places;
}
