import { axolotl } from './axolotl.ts';
import type { Format } from './format.ts';
import { huggingface } from './huggingface.ts';
import { llamafactory } from './llamafactory.ts';
import { openrlhf } from './openrlhf.ts';
import { raw } from './raw.ts';
import type { ExportFormat, ExportSettings } from './settings.ts';
import { trl } from './trl.ts';

/** The formats of these names, each once. */
export const formatsOf = (
  names: readonly ExportFormat[],
  trainer: Pick<ExportSettings, 'base_model' | 'template'>,
): readonly Format[] => [...new Set(names)].map((name) => formatOf(name, trainer));

function formatOf(
  name: ExportFormat,
  trainer: Pick<ExportSettings, 'base_model' | 'template'>,
): Format {
  switch (name) {
    case 'llamafactory':
      return llamafactory(trainer);
    case 'trl':
      return trl;
    case 'openrlhf':
      return openrlhf;
    case 'axolotl':
      return axolotl(trainer);
    case 'huggingface':
      return huggingface;
    case 'raw':
      return raw;
  }
}
