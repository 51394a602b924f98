import type { Message } from '../../schemas/records.ts';
import {
  assistant,
  isAnswer,
  isConversation,
  isTurn,
  keysProblem,
  trimmedAnswers,
  type Format,
  type PreferenceRow,
  type RowSet,
} from './format.ts';
import type { ExportSettings } from './settings.ts';

/**
 * axolotl's `chat_template.default` rows for preference, `chat_template` rows for conversations, and ready
 * configurations. Which turns are learnt is said turn by turn: its other way to say "only the last" is a setting of
 * null, and null is lost where it checks its configuration, so that all answers would be learnt. Tried with its own
 * code of July 2026 and templates of Llama 3, ChatML and Mistral.
 *
 * Source: axolotl, `src/axolotl/prompt_strategies/dpo/chat_template.py` and `prompt_strategies/chat_template.py`.
 */
export const axolotl = (trainer: Trainer): Format => ({
  name: 'axolotl',
  leavesOut: 'axolotl-text',
  path: (kind, split) => `axolotl/${kind}${split === 'train' ? '' : '_test'}.jsonl`,
  sets: {
    preference: pairs,
    steps: pairs,
    refiner_sft: conversations,
    actor_sft: conversations,
  },
  extras: ({ rows }) =>
    Object.fromEntries(
      configured
        .filter(({ kind }) => rows(kind, 'train') > 0)
        .map(({ kind, name }) => [
          `axolotl/${name}.yaml`,
          configuration(kind, name, rows(kind, 'test') > 0, trainer),
        ]),
    ),
});

type Trainer = Pick<ExportSettings, 'base_model'>;

const configured = [
  { kind: 'preference', name: 'dpo' },
  { kind: 'refiner_sft', name: 'sft' },
] as const;

const pairs: RowSet<PreferenceRow> = {
  row: ({ messages, chosen, rejected }) =>
    isLost(chosen) || isLost(rejected)
      ? null
      : {
          messages: trimmedAnswers(messages),
          chosen: assistant(chosen),
          rejected: assistant(rejected),
        },
  check: (row) => {
    const { messages, chosen, rejected } = row as Record<string, unknown>;
    if (!isConversation(messages)) return 'the messages must be a list of messages';
    for (const side of [chosen, rejected]) {
      if (!isTurn(side) || !isAnswer(side)) return 'chosen and rejected must each be one answer';
      if (isLost(side.content)) return 'a side must not be a piece of what stands before it';
    }
    return keysProblem(row, ['messages', 'chosen', 'rejected']);
  },
};

/**
 * It renders a side after this made-up turn, and takes it to begin where its text is first found: a text as short as
 * "user" is found too early, in what the template puts before it.
 */
const isLost = (side: string): boolean => before.some((piece) => piece.includes(side));

const before = [
  '[[dummy_message]]',
  '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nCutting Knowledge Date: December 2023',
  'Today Date: 26 Jul 2024\n\n<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n',
  '<|start_header_id|>assistant<|end_header_id|>\n\n',
  '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n',
  '<|im_end|>\n<|im_start|>assistant\n',
];

const conversations: RowSet<readonly Message[]> = {
  row: (messages) =>
    startsLikeItsTurn(messages.at(-1)?.content.trim() ?? '')
      ? null
      : {
          messages: trimmedAnswers(messages).map((message, index) =>
            marked(message, index === messages.length - 1),
          ),
        },
  check: (row) => {
    const { messages } = row as Record<string, unknown>;
    if (!isConversation(messages) || !isAnswer(messages.at(-1))) {
      return "the messages must be a list that ends with the assistant's";
    }
    const last = messages.length - 1;
    const wrong = messages.findIndex(
      (message, index) =>
        JSON.stringify(message) !== JSON.stringify(marked(message, index === last)),
    );
    if (wrong !== -1) {
      return `message ${wrong + 1}: the last one alone must have train: true, and train_detail over all of its text`;
    }
    return keysProblem(row, ['messages']);
  },
};

/**
 * A turn with whether it is learnt. axolotl finds the end of a turn by comparing it with one that says
 * `[[dummy_message]]`, so what ends like that, as `[[end]]` does, would lose its last letters; with the places of
 * what is to be learnt it does not. Places are in Unicode characters.
 */
const marked = ({ role, content }: Message, train: boolean) => ({
  role,
  content,
  train,
  train_detail: train
    ? [{ begin_offset: 0, end_offset: Array.from(content).length - 1, train: true }]
    : [],
});

/** It finds the beginning in the same way, and there is no other. */
const startsLikeItsTurn = (content: string): boolean => content.startsWith('[[');

/** The paper's training settings (DESIGN §4); what depends on the machine is left at a small start. */
function configuration(
  kind: 'preference' | 'refiner_sft',
  name: string,
  hasTest: boolean,
  { base_model }: Trainer,
): string {
  const dpo = kind === 'preference';
  const dataSet = (file: string) => [
    `  - path: ${file}`,
    '    ds_type: json',
    '    split: train',
    ...(dpo
      ? ['    type: chat_template.default']
      : [
          '    type: chat_template',
          '    # Only the last answer of a conversation is to be learnt: its turns say so themselves.',
          '    roles_to_train: []',
          '    message_field_training: train',
          '    message_field_training_detail: train_detail',
        ]),
  ];
  return [
    `# Run in this folder: axolotl train ${name}.yaml`,
    `base_model: ${JSON.stringify(base_model)}`,
    'chat_template: tokenizer_default',
    '',
    ...(dpo
      ? [
          'rl: dpo',
          'rl_beta: 0.1',
          '# Without the second loss a chosen text that hardly differs from its rejected one gets less likely, too.',
          '# An axolotl with a TRL before 0.29 says it as rpo_alpha.',
          'dpo_loss_type: [sigmoid, sft]',
          'dpo_loss_weights: [1.0, 0.1]',
          '',
        ]
      : []),
    'datasets:',
    ...dataSet(`${kind}.jsonl`),
    ...(hasTest ? ['test_datasets:', ...dataSet(`${kind}_test.jsonl`)] : ['val_set_size: 0']),
    `sequence_len: ${dpo ? 2048 : 4096}`,
    '',
    `learning_rate: ${dpo ? '2.0e-7' : '2.0e-6'}`,
    `num_epochs: ${dpo ? 1 : 5}`,
    `lr_scheduler: ${dpo ? 'linear' : 'constant_with_warmup'}`,
    'warmup_ratio: 0.1',
    'optimizer: adamw_torch',
    'micro_batch_size: 1',
    'gradient_accumulation_steps: 8',
    'bf16: true',
    '',
    `output_dir: trained-${name}`,
    'logging_steps: 10',
    'saves_per_epoch: 1',
    '',
  ].join('\n');
}
