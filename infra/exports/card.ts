import { kinds, splits, type Contents, type Kind, type Split, type Statistics } from './format.ts';

/** The data set's page on a hub; none if there is no data. */
export function datasetCard(contents: Contents): Readonly<Record<string, string>> {
  const found = kinds
    .filter((kind) => kind !== 'lineage')
    .map((kind) => ({ kind, splits: splits.filter((split) => contents.rows(kind, split) > 0) }))
    .filter((one) => one.splits.length > 0);
  if (found.length === 0) return {};
  const card = [
    frontMatter(found, contents),
    '# Preference data for instruction following',
    [
      'Made with spar, by the method of SPaR ([arXiv 2412.11605](https://arxiv.org/abs/2412.11605)): responses are',
      'sampled and judged by votes, and a failed one is refined by tree search until it passes, so that the two sides',
      'of a pair differ only where it matters. Add the licence that the instructions and the models ask for.',
    ].join('\n'),
    '## What is in it',
    filesTable(found, contents),
    ...statisticsOf(contents.statistics),
  ].join('\n\n');
  return { 'huggingface/README.md': `${card}\n` };
}

interface Found {
  readonly kind: Kind;
  readonly splits: readonly Split[];
}

/** The first configuration is what is loaded where none is named. */
const frontMatter = (found: readonly Found[], contents: Contents): string =>
  [
    '---',
    'pretty_name: Preference data for instruction following',
    'task_categories:',
    '  - text-generation',
    'tags:',
    '  - spar',
    '  - preference',
    '  - dpo',
    '  - trl',
    'size_categories:',
    `  - ${sizeCategory(rowsIn(found, contents))}`,
    'configs:',
    ...found.flatMap((one, index) => [
      `  - config_name: ${one.kind}`,
      ...(index === 0 ? ['    default: true'] : []),
      '    data_files:',
      ...one.splits.flatMap((split) => [
        `      - split: ${split}`,
        `        path: ${one.kind}/${split}.parquet`,
      ]),
    ]),
    '---',
  ].join('\n');

const rowsIn = (found: readonly Found[], { rows }: Contents): number =>
  found.reduce(
    (sum, one) => sum + one.splits.reduce((part, split) => part + rows(one.kind, split), 0),
    0,
  );

/** The names are the hub's. */
const sizeCategory = (rows: number): string => {
  if (rows < 1000) return 'n<1K';
  if (rows < 10_000) return '1K<n<10K';
  if (rows < 100_000) return '10K<n<100K';
  if (rows < 1_000_000) return '100K<n<1M';
  return rows < 10_000_000 ? '1M<n<10M' : '10M<n<100M';
};

const about: Readonly<Record<Exclude<Kind, 'lineage'>, string>> = {
  preference: 'an accepted refinement and the response that had failed',
  steps: 'a refinement and the text that it made better, step by step',
  unpaired: 'the sides of the pairs, each with whether it is wanted',
  refiner_sft: 'conversations in which a model refines or judges; the last turn is to be learnt',
  actor_sft: 'instructions with an answer that passed',
};

const filesTable = (found: readonly Found[], { rows }: Contents): string =>
  table(
    ['configuration', 'train', 'test', 'what it is'],
    found.map(({ kind }) => [
      `\`${kind}\``,
      String(rows(kind, 'train')),
      String(rows(kind, 'test')),
      kind === 'lineage' ? '' : about[kind],
    ]),
  );

function statisticsOf(statistics: Statistics): readonly string[] {
  const { depths, chosenLengths, rejectedLengths, trees } = statistics;
  const accepted =
    trees && trees.ended > 0
      ? [
          '## Acceptance',
          `${trees.paired} of ${trees.ended} searches ended in a pair (${percent(trees.paired, trees.ended)}).`,
        ]
      : [];
  if (depths.size === 0) return accepted;
  return [
    ...accepted,
    '## Depth',
    'Refinements that it took to pass, over all pairs.',
    histogram('depth', depths),
    '## Length',
    'Of the two sides, in characters.',
    table(
      ['shorter than', 'chosen', 'rejected'],
      inOrder([...new Set([...chosenLengths.keys(), ...rejectedLengths.keys()])]).map((key) => [
        String(key),
        String(chosenLengths.get(key) ?? 0),
        String(rejectedLengths.get(key) ?? 0),
      ]),
    ),
  ];
}

function histogram(name: string, counts: ReadonlyMap<number, number>): string {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return table(
    [name, 'pairs', 'share'],
    inOrder([...counts.keys()]).map((key) => {
      const pairs = counts.get(key) ?? 0;
      return [String(key), String(pairs), percent(pairs, total)];
    }),
  );
}

const inOrder = (numbers: readonly number[]): readonly number[] =>
  numbers.toSorted((one, other) => one - other);

const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
