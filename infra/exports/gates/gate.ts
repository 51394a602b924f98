import type { Message, PreferencePair } from '../../../schemas/records.ts';
import type { PreferenceRow } from '../format.ts';
import type { Reason } from '../reasons.ts';

/** A pair that wants to be exported: as its topic has it, and as files would have it. */
export interface Candidate {
  readonly pair: PreferencePair;
  readonly row: PreferenceRow;
}

/** Why something stays out, with what shows it in a few words: the phrase, the counts, the benchmark. */
export interface Finding {
  readonly reason: Reason;
  readonly detail: string;
}

/** Judges a pair by itself; null if it may stay. Gates that compare pairs come after these. */
export type Gate = (candidate: Candidate) => Finding | null;

/** What an instruction gate looks at; many records have it. */
export interface Asked {
  readonly instruction_id: string;
  readonly messages: readonly Message[];
}

/** Judges an instruction: with it, whatever was made from it stays out of every file. */
export type InstructionGate = (asked: Asked) => Finding | null;
