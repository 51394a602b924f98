import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportAll, type ExportReport } from '../../infra/exports/export.ts';
import { parquetRows } from '../../infra/exports/parquet.ts';
import { exportFormats, exportSets } from '../../infra/exports/settings.ts';
import type { Message } from '../../schemas/records.ts';
import { logOf, pair, request, rowsOf, runOf } from '../exports/support.ts';
import { pythonWith } from '../support/python.ts';

const requirement = 'datasets==5.2.0';

type Sets = Readonly<
  Record<
    string,
    Readonly<
      Record<
        string,
        {
          readonly columns: readonly string[];
          readonly features: Readonly<Record<string, string>>;
          readonly rows: readonly Readonly<Record<string, unknown>>[];
        }
      >
    >
  >
>;

interface Loaded {
  readonly llamafactory: Readonly<
    Record<string, { readonly columns: string[]; readonly rows: number; readonly accepted: number }>
  >;
  readonly trl: Sets;
  readonly openrlhf: { readonly folders: Sets; readonly texts: readonly (readonly string[])[] };
  readonly axolotl: {
    readonly dpo: readonly { readonly chosen: string; readonly rejected: string }[];
    readonly sft: readonly {
      readonly learnt: readonly string[];
      readonly whole: readonly string[];
      readonly turns: number;
    }[];
  };
  readonly huggingface: Sets;
  readonly raw: Sets;
  readonly yaml: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

let folder = '';
let report: ExportReport;
let loaded: Loaded;

const hostile = '"quoted" \\ \n\r\n \u2028 \u2029 \u0085 \u0000 😀 {"prompt": [1]}';
const conversation: readonly Message[] = [
  { role: 'system', content: 'be brief' },
  { role: 'user', content: 'one' },
  { role: 'assistant', content: 'two' },
  { role: 'user', content: `three ${hostile}` },
];

beforeAll(async () => {
  const python = await pythonWith(requirement);
  folder = await mkdtemp(join(tmpdir(), 'spar-python-'));
  const many = runOf(Array.from({ length: 20 }, (_, index) => `n${index}`));
  const pairs = [
    ...many.pairs.map((one, index) => ({ ...one, path: many.refinements[index]!.path })),
    pair('hostile', { messages: conversation, chosen: `<${hostile}>`, rejected: 'x\ud800y' }),
    pair('equal', { chosen: 'same', rejected: 'same' }),
    pair('two-users', { messages: [conversation[1]!, conversation[3]!] }),
  ];
  const log = await logOf({ ...many, pairs });
  const asked = request(log, join(folder, 'out'));
  const everything = { formats: exportFormats, sets: exportSets, test_share: 0.3 };
  report = await exportAll({ ...asked, settings: { ...asked.settings, ...everything } });
  const script = new URL('load.py', import.meta.url).pathname;
  const environment = { HF_HOME: join(folder, 'cache'), HF_HUB_OFFLINE: '1' };
  const stdout = await python(script, [report.folder], environment);
  loaded = JSON.parse(stdout) as Loaded;
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const rowsWritten = (path: string) => report.files.find((file) => file.path === path)?.rows;

describe('LLaMA-Factory', () => {
  test.each([
    ['spar_preference', 'preference.jsonl', ['chosen', 'conversations', 'rejected']],
    ['spar_preference_test', 'preference_test.jsonl', ['chosen', 'conversations', 'rejected']],
    ['spar_steps', 'steps.jsonl', ['chosen', 'conversations', 'rejected']],
    ['spar_unpaired', 'unpaired.jsonl', ['conversations', 'label']],
    ['spar_actor_sft', 'actor_sft.jsonl', ['conversations']],
    ['spar_refiner_sft', 'refiner_sft.jsonl', ['conversations']],
    ['spar_refiner_sft_test', 'refiner_sft_test.jsonl', ['conversations']],
  ])('finds %s with its columns, and drops no row', (name, file, columns) => {
    const rows = rowsWritten(`llamafactory/${file}`);
    expect(rows).toBeGreaterThan(0);
    expect(loaded.llamafactory[name]).toEqual({ columns, rows, accepted: rows });
  });

  test('reads its configurations, which name data sets that are there', () => {
    expect(loaded.yaml['dpo']).toMatchObject({
      stage: 'dpo',
      dataset: 'spar_preference',
      eval_dataset: 'spar_preference_test',
      learning_rate: 2e-7,
      pref_beta: 0.1,
      pref_ftx: 0.1,
      num_train_epochs: 1,
      cutoff_len: 2048,
      warmup_ratio: 0.1,
      lr_scheduler_type: 'linear',
    });
    expect(loaded.yaml['sft']).toMatchObject({
      stage: 'sft',
      dataset: 'spar_refiner_sft',
      learning_rate: 2e-6,
      num_train_epochs: 5,
      cutoff_len: 4096,
      lr_scheduler_type: 'constant_with_warmup',
      mask_history: true,
    });
  });
});

const readRows = async (path: string): Promise<readonly unknown[]> => {
  const place = join(report.folder, path);
  return path.endsWith('.parquet')
    ? Array.fromAsync(parquetRows(place))
    : rowsOf(await readFile(place, 'utf8'));
};

describe.each([
  [
    'trl',
    () => loaded.trl,
    'jsonl',
    ['actor_sft', 'preference', 'refiner_sft', 'steps', 'unpaired'],
  ],
  [
    'openrlhf',
    () => loaded.openrlhf.folders,
    'jsonl',
    ['actor_sft', 'preference', 'refiner_sft', 'steps'],
  ],
  [
    'huggingface',
    () => loaded.huggingface,
    'parquet',
    ['actor_sft', 'default', 'preference', 'refiner_sft', 'steps', 'unpaired'],
  ],
  ['raw', () => loaded.raw, 'parquet', ['lineage']],
] as const)('%s', (name, sets, ending, kinds) => {
  test('has a data set of both splits for each kind', () => {
    expect(Object.keys(sets()).toSorted()).toEqual(kinds);
    for (const splits of Object.values(sets())) {
      expect(Object.keys(splits).toSorted()).toEqual(['test', 'train']);
    }
  });

  test('is read as it was written, row by row', async () => {
    for (const [kind, splits] of Object.entries(sets())) {
      for (const [split, { rows }] of Object.entries(splits)) {
        const path = `${name}/${kind === 'default' ? 'preference' : kind}/${split}.${ending}`;
        expect(rows).toHaveLength(rowsWritten(path)!);
        expect(rows).toEqual(await readRows(path));
      }
    }
  });

  test('keeps hostile text as it was', () => {
    const kind = name === 'raw' ? 'lineage' : 'preference';
    const rows = Object.values(sets()[kind]!).flatMap((set) => set.rows);
    const chosen = `<${hostile}>`;
    const answer = (content: string) => [{ role: 'assistant', content }];
    expect(rows).toContainEqual(
      expect.objectContaining(
        name === 'raw'
          ? { messages: conversation, chosen, rejected: 'x\ufffdy' }
          : { prompt: conversation, chosen: answer(chosen), rejected: answer('x\ufffdy') },
      ),
    );
  });
});

test('TRL finds the columns that its trainers ask for', () => {
  const columns = Object.entries(loaded.trl).map(([kind, { train }]) => [kind, train!.columns]);
  expect(Object.fromEntries(columns)).toEqual({
    preference: ['chosen', 'prompt', 'rejected'],
    steps: ['chosen', 'prompt', 'rejected'],
    refiner_sft: ['completion', 'prompt'],
    actor_sft: ['completion', 'prompt'],
    unpaired: ['completion', 'label', 'prompt'],
  });
});

test('OpenRLHF can put a side after its prompt', () => {
  const rows = loaded.openrlhf.folders['preference']!['train']!.rows;
  expect(loaded.openrlhf.texts).toHaveLength(rows.length);
  for (const texts of loaded.openrlhf.texts) {
    for (const text of texts) expect(text).toMatch(/<\|im_start\|>assistant\n[^]+<\|im_end\|>\n$/);
  }
});

test('axolotl cuts every side where it begins, and learns one turn of a conversation, all of it', () => {
  const rows = loaded.openrlhf.folders['preference']!['train']!.rows as readonly {
    readonly chosen: readonly Message[];
  }[];
  expect(loaded.axolotl.dpo.map(({ chosen }) => chosen)).toEqual(
    rows.map(({ chosen }) => `${chosen[0]!.content}<|im_end|>`),
  );
  expect(loaded.axolotl.sft.some(({ turns }) => turns === 4)).toBe(true);
  for (const { learnt, whole } of loaded.axolotl.sft) {
    expect(learnt).toHaveLength(1);
    expect(learnt).toEqual(whole);
  }
});

test("the hub's columns have types, however few rows there are", () => {
  const { features } = loaded.huggingface['preference']!['train']!;
  const turns = "List({'role': Value('string'), 'content': Value('string')})";
  expect(features).toEqual({
    prompt: turns,
    chosen: turns,
    rejected: turns,
    id: "Value('string')",
    source: "Value('string')",
    depth: "Value('int32')",
    value: "Value('float64')",
  });
  expect(loaded.raw['lineage']!['train']!.features).toMatchObject({
    cost: "Value('float64')",
    constraints: "List({'id': Value('string'), 'arguments': Value('string')})",
    prompt_tokens: "Value('int64')",
  });
});
