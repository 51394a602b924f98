import type { Message } from '../../schemas/records.ts';
import {
  assistant,
  isAnswer,
  isConversation,
  isOneAnswer,
  keysProblem,
  trimmedAnswers,
  type Format,
  type PreferenceRow,
  type RowSet,
  type UnpairedRow,
} from './format.ts';

/** `{prompt, chosen, rejected}`, all three lists of turns. */
export const conversationalPairs: RowSet<PreferenceRow> = {
  row: ({ messages, chosen, rejected }) => ({
    prompt: trimmedAnswers(messages),
    chosen: [assistant(chosen)],
    rejected: [assistant(rejected)],
  }),
  check: (row) => {
    const { prompt, chosen, rejected } = row as Record<string, unknown>;
    if (!isConversation(prompt)) return 'the prompt must be a list of messages';
    if (!isOneAnswer(chosen) || !isOneAnswer(rejected)) {
      return 'chosen and rejected must each be a list of one answer';
    }
    return keysProblem(row, ['prompt', 'chosen', 'rejected']);
  },
};

/** `{messages}`, for trainers that can be told to learn the last turn only. */
export const conversations: RowSet<readonly Message[]> = {
  row: (messages) => ({ messages: trimmedAnswers(messages) }),
  check: (row) => {
    const { messages } = row as Record<string, unknown>;
    if (!isConversation(messages) || !isAnswer(messages.at(-1))) {
      return "the messages must be a list that ends with the assistant's";
    }
    return keysProblem(row, ['messages']);
  },
};

/** `{prompt, completion}`, of which the completion is learnt; of `messages` TRL would learn every turn, the user's too. */
export const completions: RowSet<readonly Message[]> = {
  row: (messages) => {
    const turns = trimmedAnswers(messages);
    return { prompt: turns.slice(0, -1), completion: turns.slice(-1) };
  },
  check: (row) => {
    const { prompt, completion } = row as Record<string, unknown>;
    if (!isConversation(prompt)) return 'the prompt must be a list of messages';
    if (!isOneAnswer(completion)) return 'the completion must be a list of one answer';
    return keysProblem(row, ['prompt', 'completion']);
  },
};

/** `{prompt, completion, label}`, for KTO and its like. */
export const labelled: RowSet<UnpairedRow> = {
  row: ({ messages, completion, wanted }) => ({
    prompt: trimmedAnswers(messages),
    completion: [assistant(completion)],
    label: wanted,
  }),
  check: (row) => {
    const { prompt, completion, label } = row as Record<string, unknown>;
    if (!isConversation(prompt)) return 'the prompt must be a list of messages';
    if (!isOneAnswer(completion)) return 'the completion must be a list of one answer';
    if (typeof label !== 'boolean') return 'the label must be true or false';
    return keysProblem(row, ['prompt', 'completion', 'label']);
  },
};

/**
 * TRL's conversational formats, one folder for each kind, since a folder is a data set to the `datasets` library.
 *
 * Source: TRL's documentation, "Dataset formats and types".
 */
export const trl: Format = {
  name: 'trl',
  path: (kind, split) => `trl/${kind}/${split}.jsonl`,
  sets: {
    preference: conversationalPairs,
    steps: conversationalPairs,
    unpaired: labelled,
    refiner_sft: completions,
    actor_sft: completions,
  },
  extras: () => ({}),
};
