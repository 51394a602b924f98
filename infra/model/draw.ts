import { hash } from 'node:crypto';
import type { ModelRequest } from '../../processors/processor.ts';

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

/**
 * One id per draw, 128 bits in hex: the same draw is never paid for twice, and no two draws share one.
 *
 * The number of draws asked for together is not part of it: an endpoint that does not honour n is asked one by one
 * for the very same draws.
 */
export function drawIds(origin: Origin, request: ModelRequest): readonly string[] {
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
  return Array.from({ length: draws.count }, (_, index) => digest([shared, index]).slice(0, 32));
}

/** The seed that a request sends: 31 bits of the id of its first draw, so that answers do not depend on order. */
export const seedOf = (id: string): number => Number.parseInt(id.slice(0, 8), 16) & 0x7fffffff;

/** One of `count` shares, always the same for the same text. */
export const shareOf = (text: string, count: number): number => seedOf(digest(text)) % count;

const digest = (value: unknown): string => hash('sha256', JSON.stringify(value));
