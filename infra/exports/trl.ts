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
 * TRL's conversational formats: `{prompt, chosen, rejected}` for preference, `{prompt, completion}` for what is to be
 * learnt of a conversation, one folder for each, since a folder is a data set to the `datasets` library. (Of `messages`
 * TRL would learn every turn, the user's too.) OpenRLHF reads the same pairs.
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

  conversation: (messages) => {
    const turns = trimmedAnswers(messages);
    return { prompt: turns.slice(0, -1), completion: turns.slice(-1) };
  },

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
      const { prompt, completion } = row as Record<string, unknown>;
      if (!isConversation(prompt)) return 'the prompt must be a list of messages';
      if (!isOneAnswer(completion)) return 'the completion must be a list of one answer';
      return keysProblem(row, ['prompt', 'completion']);
    },
  },

  extras: () => ({}),
};

const isOneAnswer = (value: unknown): value is readonly Message[] =>
  Array.isArray(value) && value.length === 1 && isAnswer(value[0]);
