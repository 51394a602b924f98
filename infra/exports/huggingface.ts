import { datasetCard } from './card.ts';
import type { Format, PreferenceRow, RowSet } from './format.ts';
import { real, text, truth, turns, whole, type Columns } from './parquet.ts';
import { completions, conversationalPairs, labelled } from './trl.ts';

/** Columns that TRL's trainers pass over, for people who look at the data. */
const about: Columns = { id: text, source: text, depth: whole, value: real };

const pairs: RowSet<PreferenceRow> = {
  columns: { prompt: turns, chosen: turns, rejected: turns, ...about },
  row: (row) => {
    const { id, source, depth, value } = row;
    return { ...conversationalPairs.row(row), id, source: nameOf(source), depth, value };
  },
  check: (row) => {
    const { id, source, depth, value, ...sides } = row as Record<string, unknown>;
    if (typeof id !== 'string' || typeof source !== 'string') return 'id and source must be text';
    if (typeof depth !== 'number' || typeof value !== 'number') {
      return 'depth and value must be numbers';
    }
    return conversationalPairs.check(sides);
  },
};

/** Where a file lies on somebody's disk is nobody's business on a hub. */
const nameOf = (source: string): string => source.slice(source.search(/[^/\\]*$/));

const learnt = { ...completions, columns: { prompt: turns, completion: turns } };

/**
 * A folder for a hub: Parquet files with typed columns, one configuration a kind, and a card. `load_dataset` reads it
 * as it is, and TRL's trainers take every configuration.
 */
export const huggingface: Format = {
  name: 'huggingface',
  path: (kind, split) => `huggingface/${kind}/${split}.parquet`,
  sets: {
    preference: pairs,
    steps: pairs,
    unpaired: { ...labelled, columns: { prompt: turns, completion: turns, label: truth } },
    refiner_sft: learnt,
    actor_sft: learnt,
  },
  extras: (contents) => datasetCard(contents),
};
