/**
 * Why something is in no file, in the order in which a pair is asked: it has the first reason that fits. The last
 * three are no gate's: a record that cannot be read, and a conversation that one of the loaders could not read.
 */
const reasons = [
  /** A person took its instruction and all that came of it out (`spar purge`). */
  'purged',
  /** A person took the pair out (`spar reject`). */
  'rejected-by-hand',
  /** One side holds nothing. */
  'empty-side',
  /** The sides are the same text. */
  'equal-sides',
  /** Made by a version of a model that is not wanted. */
  'stale-model',
  /** The share of its source was reached. */
  'source-share',
  /** The chosen text speaks of marks or verdicts that are between us and the models. */
  'verdict-phrase',
  /** A side declines to answer. */
  'refusal',
  /** A side was cut off. */
  'truncated',
  /** The instruction is too hard or too easy for the actor. */
  'pass-rate',
  /** The chosen text breaks a constraint that code can check. */
  'broken-constraint',
  /** The prompt and one of the sides are too long together. */
  'too-long',
  /** The chosen text is in another language than the instruction asks for. */
  'wrong-language',
  /** The instruction is one of a benchmark. */
  'benchmark',
  /** The sides differ less than wanted. */
  'too-close',
  /** The sides differ more than wanted. */
  'too-far',
  /** Another instruction has the same prompt. */
  'duplicate',
  /** Another instruction has nearly the same prompt. */
  'near-duplicate',
  /** The cap was reached. */
  'over-cap',
  /** The bytes are not a record. */
  'undecodable',
  /** LLaMA-Factory could not read its turns; the other formats have it. */
  'llamafactory-turns',
  /** Axolotl would cut its text in the wrong place; the other formats have it. */
  'axolotl-text',
] as const;

export type Reason = (typeof reasons)[number];

/** How many of each reason, none of them left out. */
export type Tally = Readonly<Record<Reason, number>>;

export const tallyOf = (counted: ReadonlyMap<string, number>): Tally =>
  // Every reason is a key of what comes out.
  Object.fromEntries(reasons.map((reason) => [reason, counted.get(reason) ?? 0])) as Tally;
