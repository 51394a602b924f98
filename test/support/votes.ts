import type { Vote } from '../../schemas/records.ts';

/** A vote for each letter: `y`es, `n`o, or one that is neither. */
export const votesOf = (
  letters: string,
  critiqueOf: (index: number) => string = String,
): readonly Vote[] =>
  Array.from(letters, (letter, index) => ({
    vote: ({ y: 'yes', n: 'no' } as const)[letter] ?? 'invalid',
    critique: critiqueOf(index),
    reasoning: null,
    finish_reason: 'stop',
  }));
