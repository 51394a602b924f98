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
  /** Preference pairs of a shard, where shards are written. */
  readonly shard_rows: number;
  /** What the ready trainer configurations name as the model to train: a folder or a hub name. */
  readonly base_model: string;
  /** LLaMA-Factory's name of that model's chat template. */
  readonly template: string;
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
  shard_rows: 1000,
  base_model: 'meta-llama/Llama-3.1-8B-Instruct',
  template: 'llama3',
};
