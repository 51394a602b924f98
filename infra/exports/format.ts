import type { Message, PreferencePair, SearchNode, Verdicts } from '../../schemas/records.ts';
import type { Columns } from './parquet.ts';
import type { RowCheck } from './rows.ts';
import type { ExportFormat } from './settings.ts';

/** A preference pair, cleaned: its sides are trimmed, differ, and hold something. */
export interface PreferenceRow {
  readonly id: string;
  readonly source: string;
  readonly messages: readonly Message[];
  readonly chosen: string;
  readonly rejected: string;
  /** Refinements between the root of the tree and the chosen side. */
  readonly depth: number;
  /** Share of the votes that the chosen side got. */
  readonly value: number;
}

/** One side of a pair by itself. */
export interface UnpairedRow {
  readonly messages: readonly Message[];
  readonly completion: string;
  readonly wanted: boolean;
}

/** A pair with all that led to it, as the topics hold it. */
export interface Lineage {
  readonly pair: PreferencePair;
  /** The samples and their votes; null if they are no longer there. */
  readonly verdicts: Verdicts | null;
  /** Every node of the tree, accepted or not, in the order of depth and id. */
  readonly nodes: readonly SearchNode[];
}

export type Split = 'train' | 'test';

/** What a row of each kind is made from; the kinds are the names of their files. */
export interface RowOf {
  readonly preference: PreferenceRow;
  readonly steps: PreferenceRow;
  readonly unpaired: UnpairedRow;
  /** The turns end with the assistant's. */
  readonly refiner_sft: readonly Message[];
  readonly actor_sft: readonly Message[];
  readonly lineage: Lineage;
}

export type Kind = keyof RowOf;

/** In the order in which files are listed. */
export const kinds: readonly Kind[] = [
  'preference',
  'steps',
  'unpaired',
  'refiner_sft',
  'actor_sft',
  'lineage',
];

export const splits: readonly Split[] = ['train', 'test'];

/** How a trainer's loader wants its files. */
export interface Format {
  readonly name: ExportFormat;
  /** Where the rows of a kind go; all rows of a file have the same keys. */
  readonly path: (kind: Kind, split: Split) => string;
  /** How it writes the kinds that it knows; the others are not for it. */
  readonly sets: { readonly [Name in Kind]?: RowSet<RowOf[Name]> };
  /** Why a row of a kind that it knows may not be for its loader, if that can be. */
  readonly leavesOut?: FormatReason;
  /** Further files, by path, given what the data files hold. */
  readonly extras: (contents: Contents) => Readonly<Record<string, string>>;
}

export interface RowSet<From> {
  /** Null if the loader would drop it, or fail on it. */
  readonly row: (from: From) => object | null;
  /** What the loader asks of a row, its keys included. */
  readonly check: RowCheck;
  /** The columns of a Parquet file; a file of JSON lines has none. */
  readonly columns?: Columns;
}

/** Why a row is in the files of all formats but one. */
export type FormatReason = 'llamafactory-turns' | 'axolotl-text';

export interface Contents {
  /** Rows of the file, 0 if there is none. */
  readonly rows: (kind: Kind, split: Split) => number;
  readonly statistics: Statistics;
}

/** What a card says about the pairs in the files. */
export interface Statistics {
  /** Pairs by the depth of their accepted node. */
  readonly depths: ReadonlyMap<number, number>;
  /** Sides by their length: the key is the length that they stay below, in characters, a power of two. */
  readonly chosenLengths: ReadonlyMap<number, number>;
  readonly rejectedLengths: ReadonlyMap<number, number>;
  /** Trees that ended, and those of them that ended in a pair; null if nobody asked. */
  readonly trees: { readonly ended: number; readonly paired: number } | null;
}

export const assistant = (content: string): Message => ({ role: 'assistant', content });

/** Trainers find the answer in the rendered conversation by its text, and templates trim it. */
export const trimmedAnswers = (messages: readonly Message[]): readonly Message[] =>
  messages.map((message) =>
    message.role === 'assistant' ? assistant(message.content.trim()) : message,
  );

/** A problem unless the row has exactly these keys, in any order. */
export function keysProblem(row: unknown, keys: readonly string[]): string | null {
  const found = Object.keys(row as object).sort();
  return found.join() === [...keys].sort().join()
    ? null
    : `expected the keys ${keys.join(', ')}, got ${found.join(', ')}`;
}

export const isTurn = (value: unknown): value is Message => {
  if (typeof value !== 'object' || value === null) return false;
  const { role, content } = value as Partial<Message>;
  return typeof role === 'string' && typeof content === 'string';
};

export const isAnswer = (value: unknown): boolean =>
  isTurn(value) && value.role === 'assistant' && value.content !== '';

export const isOneAnswer = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 1 && isAnswer(value[0]);

export const isConversation = (value: unknown): value is readonly Message[] =>
  Array.isArray(value) && value.length > 0 && value.every(isTurn);
