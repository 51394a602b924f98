import type { Message } from '../../schemas/records.ts';
import type { RowCheck } from './files.ts';

/** A preference pair, cleaned: its sides are trimmed, differ, and hold something. */
export interface PreferenceRow {
  readonly messages: readonly Message[];
  readonly chosen: string;
  readonly rejected: string;
}

export type Split = 'train' | 'test';

/** The two kinds of training rows, by the names of their files. */
export type Kind = 'preference' | 'refiner_sft';

/** How a trainer's loader wants its files. */
export interface Format {
  /** Where the rows of a kind go; all rows of a file have the same keys. */
  path(kind: Kind, split: Split): string;
  /** Null if the loader would drop a row of these turns, or fail on it. */
  preference(row: PreferenceRow): object | null;
  /** The turns end with the assistant's. */
  conversation(messages: readonly Message[]): object | null;
  /** What the loader asks of a row, beside its keys. */
  readonly check: Readonly<Record<Kind, RowCheck>>;
  /** Further files, by path, given which data files have rows. */
  extras(hasRows: (kind: Kind, split: Split) => boolean): Readonly<Record<string, string>>;
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
  const { role, content } = value as Partial<Message>;
  return typeof role === 'string' && typeof content === 'string';
};

export const isAnswer = (value: unknown): boolean =>
  isTurn(value) && value.role === 'assistant' && value.content !== '';

export const isConversation = (value: unknown): value is readonly Message[] =>
  Array.isArray(value) && value.length > 0 && value.every(isTurn);
