import type { Message } from '../../schemas/records.ts';
import {
  assistant,
  isAnswer,
  isConversation,
  keysProblem,
  trimmedAnswers,
  type Format,
} from './format.ts';

/**
 * TRL's conversational formats: `{prompt, chosen, rejected}` for preference, `{messages}` for language modelling,
 * one folder for each, since a folder is a data set to the `datasets` library. OpenRLHF reads the same.
 *
 * Source: TRL's documentation, "Dataset formats and types".
 */
export const trl: Format = {
  path: (kind, split) => `trl/${kind}/${split}.jsonl`,

  preference: ({ messages, chosen, rejected }) => ({
    prompt: trimmedAnswers(messages),
    chosen: [assistant(chosen)],
    rejected: [assistant(rejected)],
  }),

  conversation: (messages) => ({ messages: trimmedAnswers(messages) }),

  check: {
    preference: (row) => {
      const { prompt, chosen, rejected } = row as Record<string, unknown>;
      if (!isConversation(prompt)) return 'the prompt must be a list of messages';
      if (!isOneAnswer(chosen) || !isOneAnswer(rejected)) {
        return 'chosen and rejected must each be a list of one answer';
      }
      return keysProblem(row, ['prompt', 'chosen', 'rejected']);
    },
    refiner_sft: (row) => {
      const { messages } = row as Record<string, unknown>;
      if (!isConversation(messages) || !isAnswer(messages.at(-1))) {
        return "the messages must be a list that ends with the assistant's";
      }
      return keysProblem(row, ['messages']);
    },
  },

  extras: () => ({}),
};

const isOneAnswer = (value: unknown): value is readonly Message[] =>
  Array.isArray(value) && value.length === 1 && isAnswer(value[0]);
