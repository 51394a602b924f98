import type { Message } from '../../schemas/records.ts';
import {
  assistant,
  isAnswer,
  isConversation,
  keysProblem,
  kinds,
  splits,
  trimmedAnswers,
  type Format,
  type Kind,
  type PreferenceRow,
  type RowSet,
  type Split,
  type UnpairedRow,
} from './format.ts';
import type { ExportSettings } from './settings.ts';

/**
 * LLaMA-Factory's sharegpt format with `dataset_info.json` and ready configurations. Its loader drops a row with
 * only a warning if the turns do not alternate, if a preference prompt has an even number of turns (a leading system
 * turn does not count), or if a side is a list; so none is written.
 *
 * Source: LLaMA-Factory, `src/llamafactory/data/converter.py` and `parser.py`.
 */
export const llamafactory = (trainer: Trainer): Format => ({
  name: 'llamafactory',
  leavesOut: 'llamafactory-turns',
  path: (kind, split) => `llamafactory/${fileName(kind, split)}`,
  sets: {
    preference: pairs,
    steps: pairs,
    unpaired: labelled,
    refiner_sft: conversations,
    actor_sft: conversations,
  },

  extras: ({ rows }) => {
    const files = kinds.flatMap((kind) =>
      splits.filter((split) => rows(kind, split) > 0).map((split) => ({ kind, split })),
    );
    if (files.length === 0) return {};
    const info = Object.fromEntries(
      files.map(({ kind, split }) => [dataSet(kind, split), describe(kind, split)]),
    );
    const configurations = (['preference', 'refiner_sft'] as const)
      .filter((kind) => rows(kind, 'train') > 0)
      .map((kind) => [
        `llamafactory/${kind === 'preference' ? 'dpo' : 'sft'}.yaml`,
        configuration(kind, rows(kind, 'test') > 0, trainer),
      ]);
    return {
      'llamafactory/dataset_info.json': `${JSON.stringify(info, null, 2)}\n`,
      ...(Object.fromEntries(configurations) as Record<string, string>),
    };
  },
});

const pairs: RowSet<PreferenceRow> = {
  row: ({ messages, chosen, rejected }) =>
    alternates(messages, 'user')
      ? {
          conversations: trimmedAnswers(messages),
          chosen: assistant(chosen),
          rejected: assistant(rejected),
        }
      : null,
  check: (row) => {
    const { conversations, chosen, rejected } = row as Record<string, unknown>;
    if (!isConversation(conversations) || !alternates(conversations, 'user')) {
      return 'the turns must alternate and end with the user';
    }
    if (!isAnswer(chosen) || !isAnswer(rejected)) {
      return 'chosen and rejected must each be one answer, not a list';
    }
    return keysProblem(row, ['conversations', 'chosen', 'rejected']);
  },
};

const conversations: RowSet<readonly Message[]> = {
  row: (messages) =>
    alternates(messages, 'assistant') ? { conversations: trimmedAnswers(messages) } : null,
  check: (row) => endsWithAnswer(row) ?? keysProblem(row, ['conversations']),
};

/** The answer is the last turn, and the tag says whether it is wanted. */
const labelled: RowSet<UnpairedRow> = {
  row: ({ messages, completion, wanted }) =>
    alternates(messages, 'user')
      ? { conversations: [...trimmedAnswers(messages), assistant(completion)], label: wanted }
      : null,
  check: (row) =>
    endsWithAnswer(row) ??
    (typeof (row as Record<string, unknown>)['label'] === 'boolean'
      ? keysProblem(row, ['conversations', 'label'])
      : 'the label must be true or false'),
};

function endsWithAnswer(row: unknown): string | null {
  const { conversations } = row as Record<string, unknown>;
  return isConversation(conversations) && alternates(conversations, 'assistant')
    ? null
    : 'the turns must alternate and end with the assistant';
}

/** What the ready configurations name. */
type Trainer = Pick<ExportSettings, 'base_model' | 'template'>;

const suffix = (split: Split): string => (split === 'train' ? '' : '_test');
const fileName = (kind: Kind, split: Split): string => `${kind}${suffix(split)}.jsonl`;
const dataSet = (kind: Kind, split: Split): string => `spar_${kind}${suffix(split)}`;

/** User and assistant in turn, the user first, after a system turn if there is one; `last` has the last word. */
function alternates(messages: readonly Message[], last: 'user' | 'assistant'): boolean {
  const turns = messages[0]?.role === 'system' ? messages.slice(1) : messages;
  return (
    turns.at(-1)?.role === last &&
    turns.every(({ role }, index) => role === (index % 2 === 0 ? 'user' : 'assistant'))
  );
}

/**
 * What would make the loader misread or miss our data sets; null if nothing. Data sets of others may be there, too.
 *
 * @param information what `dataset_info.json` says
 * @param names the files beside it
 */
export function informationProblem(information: unknown, names: readonly string[]): string | null {
  const described = information as Readonly<Record<string, unknown>> | null;
  if (typeof described !== 'object' || described === null) return 'it is no JSON object';
  for (const kind of kinds) {
    for (const split of splits) {
      if (!names.includes(fileName(kind, split))) continue;
      const found = described[dataSet(kind, split)];
      if (JSON.stringify(found) !== JSON.stringify(describe(kind, split))) {
        return `${dataSet(kind, split)} is not described as it must be: file, columns and all five tags`;
      }
    }
  }
  return null;
}

/** Once `columns` or `tags` is given, whatever it leaves out counts as null: so all five tags are there. */
const describe = (kind: Kind, split: Split) => ({
  file_name: fileName(kind, split),
  formatting: 'sharegpt',
  ...(isRanking(kind) ? { ranking: true } : {}),
  columns: {
    messages: 'conversations',
    ...(isRanking(kind) ? { chosen: 'chosen', rejected: 'rejected' } : {}),
    ...(kind === 'unpaired' ? { kto_tag: 'label' } : {}),
  },
  tags: {
    role_tag: 'role',
    content_tag: 'content',
    user_tag: 'user',
    assistant_tag: 'assistant',
    system_tag: 'system',
  },
});

const isRanking = (kind: Kind): boolean => kind === 'preference' || kind === 'steps';

/** The paper's training settings (DESIGN §4); what depends on the machine is left at a small start. */
function configuration(kind: Kind, hasTest: boolean, { base_model, template }: Trainer): string {
  const dpo = kind === 'preference';
  return [
    `# Run in this folder: llamafactory-cli train ${dpo ? 'dpo' : 'sft'}.yaml`,
    `model_name_or_path: ${JSON.stringify(base_model)}`,
    `template: ${JSON.stringify(template)}`,
    '',
    `stage: ${dpo ? 'dpo' : 'sft'}`,
    'do_train: true',
    'finetuning_type: full',
    ...(dpo
      ? [
          'pref_loss: sigmoid',
          'pref_beta: 0.1',
          '# Without it a chosen text that hardly differs from its rejected one gets less likely, too.',
          'pref_ftx: 0.1',
        ]
      : ['# Only the last answer of a conversation is to be learnt.', 'mask_history: true']),
    '',
    'dataset_dir: .',
    `dataset: ${dataSet(kind, 'train')}`,
    // A data set to evaluate is loaded, but nothing is evaluated, until it is said when.
    ...(hasTest
      ? [
          `eval_dataset: ${dataSet(kind, 'test')}`,
          'eval_strategy: epoch',
          'per_device_eval_batch_size: 1',
        ]
      : []),
    `cutoff_len: ${dpo ? 2048 : 4096}`,
    '',
    `learning_rate: ${dpo ? '2.0e-7' : '2.0e-6'}`,
    `num_train_epochs: ${dpo ? '1.0' : '5.0'}`,
    `lr_scheduler_type: ${dpo ? 'linear' : 'constant_with_warmup'}`,
    'warmup_ratio: 0.1',
    'per_device_train_batch_size: 1',
    'gradient_accumulation_steps: 8',
    'bf16: true',
    '',
    '# A run goes on from the last checkpoint in here: after another export, name another folder.',
    `output_dir: ${dpo ? 'trained-dpo' : 'trained-sft'}`,
    'logging_steps: 10',
    'save_strategy: epoch',
    '',
  ].join('\n');
}
