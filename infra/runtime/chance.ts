import { hash } from 'node:crypto';
import type { Chance } from '../../processors/processor.ts';

/** 48 bits of SHA-256 as a fraction: a pure function of what it is asked about. */
export const chanceOf =
  (seed: number, iteration: string, id: string): Chance =>
  (purpose) =>
    hash('sha256', JSON.stringify([seed, iteration, id, purpose]), 'buffer').readUIntBE(0, 6) /
    2 ** 48;
