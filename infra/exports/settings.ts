import { defaultCaps } from '../../processors/rules/training.ts';
import type { SetName } from '../../processors/rules/training.ts';

/** Operational settings of an export: they may change at any time, and the next export follows them. */
export interface ExportSettings {
  /** Whose loaders the files are for. */
  readonly formats: readonly ExportFormat[];
  /** What is written for them; `lineage` comes with the format `raw`. */
  readonly sets: readonly ExportSet[];
  /** Preference pairs at the most, chosen by seed; null for all. */
  readonly max_pairs: number | null;
  /** Rows of each refiner set at the most, before they are put together; the paper's numbers by default. */
  readonly caps: Readonly<Record<SetName, number>>;
  /** What `actor_sft` takes. */
  readonly actor: {
    /** Passing responses of an instruction at the most, chosen by seed; easy instructions would fill the set. */
    readonly passing: number;
    /** Rows at the most, chosen by seed; null for all. */
    readonly max_rows: number | null;
  };
  /** Share of the instructions, chosen by seed, whose rows go to test files; 0 for none. */
  readonly test_share: number;
  /** Share of a source's pairs that are kept, chosen by seed; all of them where a source is not named. */
  readonly sources: Readonly<Record<string, number>>;
  readonly gates: GateSettings;
  /** Preference pairs of a shard, where shards are written. */
  readonly shard_rows: number;
  /** What the ready trainer configurations name as the model to train: a folder or a hub name. */
  readonly base_model: string;
  /** LLaMA-Factory's name of that model's chat template. */
  readonly template: string;
}

/** What must not reach a file. A gate that could surprise is off by default. */
export interface GateSettings {
  /** Needs the tokenizer of the model that is to be trained: without one, lengths are not looked at. */
  readonly tokens: {
    readonly tokenizer: string | null;
    /** Of the prompt with the longer side. */
    readonly max: number;
    /** What the chat template puts around each turn. */
    readonly per_turn: number;
  };
  /** Of the sides of a pair: 0 for the same text, 1 for nothing in common. */
  readonly distance: { readonly min: number; readonly max: number };
  readonly duplicates: {
    readonly exact: boolean;
    /** Share of word triples in common from which prompts are nearly the same; null to look for equal ones only. */
    readonly near: number | null;
  };
  readonly benchmarks: {
    readonly files: readonly string[];
    /** How many words in a row count as found. */
    readonly words: number;
    /** Share of a benchmark prompt that must be found. */
    readonly overlap: number;
  };
  readonly phrases: readonly string[];
  /** Whether the chosen text must keep to the constraints that code can check. */
  readonly constraints: boolean;
  readonly refusals: 'off' | 'chosen' | 'either';
  /** Where a model reported that it was cut off, or also where a refiner's answer lacks its closing mark. */
  readonly truncated: 'off' | 'known' | 'likely';
  /** `same` as the instruction's, unless that asks for another. */
  readonly language: 'any' | 'same';
  /** Of the judged responses to the instruction, those that passed. */
  readonly pass_rate: { readonly min: number; readonly max: number };
  /** Versions whose pairs are kept; none named for any. */
  readonly models: {
    readonly actor: readonly string[];
    readonly judge: readonly string[];
    readonly refiner: readonly string[];
  };
}

export const exportFormats = [
  'llamafactory',
  'trl',
  'openrlhf',
  'axolotl',
  'huggingface',
  'raw',
] as const;
export type ExportFormat = (typeof exportFormats)[number];

export const exportSets = ['preference', 'refiner_sft', 'actor_sft', 'steps', 'unpaired'] as const;
export type ExportSet = (typeof exportSets)[number];

export const defaultExportSettings: ExportSettings = {
  formats: ['llamafactory', 'trl'],
  sets: ['preference', 'refiner_sft'],
  max_pairs: null,
  caps: defaultCaps,
  actor: { passing: 1, max_rows: null },
  test_share: 0,
  sources: {},
  gates: {
    // The cutoff of the shipped dpo.yaml; five to eight tokens a turn is what common templates add.
    tokens: { tokenizer: null, max: 2048, per_turn: 8 },
    distance: { min: 0, max: 1 },
    duplicates: { exact: true, near: null },
    // As in Tülu 3 (arXiv 2411.15124): half of a prompt in runs of eight words.
    benchmarks: { files: [], words: 8, overlap: 0.5 },
    phrases: ['[[start]]', '[[end]]', 'Final Judgement: Yes', 'Final Judgement: No'],
    constraints: true,
    refusals: 'off',
    truncated: 'known',
    language: 'any',
    pass_rate: { min: 0, max: 1 },
    models: { actor: [], judge: [], refiner: [] },
  },
  shard_rows: 1000,
  base_model: 'meta-llama/Llama-3.1-8B-Instruct',
  template: 'llama3',
};
