import type { Priority } from '../model/gateway.ts';

/**
 * When a record's calls have their turn.
 *
 * @param rank of its stage: 1 for the last one
 * @param admitted its instruction's place among the admitted ones
 */
export type Order = (rank: number, admitted: number) => Priority;

/** Trees finish before new ones begin: little is under way at a time, and pairs come early. */
export const laterFirst: Order = (rank, admitted) => ({ rank, order: admitted });
