import { hash } from 'node:crypto';
import type { ModelRequest } from '../../processors/processor.ts';
import { familyLength } from '../journal/journal.ts';

/** Whose draws these are: what the runtime knows and the processor does not say. */
export interface Origin {
  readonly pipeline: string;
  /** The iteration that first asked; a replayed stage keeps its input's. */
  readonly iteration: string;
  readonly seed: number;
  readonly instruction: string;
  readonly stage: string;
  readonly modelVersion: string;
}

/** The draws of one request. */
export interface DrawsAsked {
  /** One for each, 128 bits in hex: 96 of the request, which they share, and 32 of their number. */
  readonly ids: readonly string[];
  /**
   * What a request that begins with the draw at this place sends as its seed: 31 bits, which every server takes. So
   * answers do not depend on order.
   */
  readonly seedAt: (place: number) => number;
}

/**
 * One id per draw: the same draw is never paid for twice, and no two draws share one. Those of a request lie side by
 * side where ids are sorted.
 *
 * The number of draws asked for together is not part of it: an endpoint that does not honour n is asked one by one
 * for the very same draws.
 */
export function drawsOf(origin: Origin, request: ModelRequest): DrawsAsked {
  const { messages, sampling, draws } = request;
  const shared = digest([
    origin.pipeline,
    origin.iteration,
    origin.seed,
    origin.instruction,
    origin.stage,
    origin.modelVersion,
    draws.path,
    draws.round,
    draws.attempt,
    messages.map(({ role, content }) => [role, content]),
    [sampling.temperature, sampling.top_p, sampling.max_tokens, sampling.stop],
  ]);
  const family = shared.slice(0, familyLength);
  return {
    ids: Array.from(
      { length: draws.count },
      (_, index) => family + index.toString(16).padStart(32 - familyLength, '0'),
    ),
    seedAt: (place) => seedOf(digest([shared, place])),
  };
}

/** One of `count` shares, always the same for the same text. */
export const shareOf = (text: string, count: number): number => seedOf(digest(text)) % count;

const seedOf = (hex: string): number => Number.parseInt(hex.slice(0, 8), 16) & 0x7fffffff;

const digest = (value: unknown): string => hash('sha256', JSON.stringify(value));
