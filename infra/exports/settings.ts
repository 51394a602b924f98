import { defaultCaps } from '../../processors/rules/training.ts';
import type { SetName } from '../../processors/rules/training.ts';

/** Operational settings of an export: they may change at any time, and the next export follows them. */
export interface ExportSettings {
  /** Whose loaders the files are for. */
  readonly formats: readonly ExportFormat[];
  /** Preference pairs at the most, chosen by seed; null for all. */
  readonly max_pairs: number | null;
  /** Rows of each refiner set at the most, before they are put together; the paper's numbers by default. */
  readonly caps: Readonly<Record<SetName, number>>;
  /** Share of the instructions, chosen by seed, whose rows go to test files; 0 for none. */
  readonly test_share: number;
  /** What the ready trainer configurations name as the model to train: a folder or a hub name. */
  readonly base_model: string;
  /** LLaMA-Factory's name of that model's chat template. */
  readonly template: string;
}

export type ExportFormat = 'llamafactory' | 'trl';

export const defaultExportSettings: ExportSettings = {
  formats: ['llamafactory', 'trl'],
  max_pairs: null,
  caps: defaultCaps,
  test_share: 0,
  base_model: 'meta-llama/Llama-3.1-8B-Instruct',
  template: 'llama3',
};
