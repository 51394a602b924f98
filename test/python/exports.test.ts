import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportAll, type ExportReport } from '../../infra/exports/export.ts';
import type { Message } from '../../schemas/records.ts';
import { logOf, pair, request, rowsOf, runOf } from '../exports/support.ts';
import { pythonWith } from '../support/python.ts';

const requirement = 'datasets==5.2.0';

interface Loaded {
  readonly llamafactory: Readonly<
    Record<string, { readonly columns: string[]; readonly rows: number; readonly accepted: number }>
  >;
  readonly trl: Readonly<
    Record<
      string,
      Record<string, { readonly columns: string[]; readonly rows: readonly unknown[] }>
    >
  >;
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
    ...many.pairs,
    pair('hostile', { messages: conversation, chosen: `<${hostile}>`, rejected: 'x\ud800y' }),
    pair('equal', { chosen: 'same', rejected: 'same' }),
    pair('two-users', { messages: [conversation[1]!, conversation[3]!] }),
  ];
  const log = await logOf({ ...many, pairs });
  const asked = request(log, join(folder, 'out'));
  report = await exportAll({ ...asked, settings: { ...asked.settings, test_share: 0.3 } });
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

describe('TRL', () => {
  test.each([
    ['preference', ['chosen', 'prompt', 'rejected']],
    ['refiner_sft', ['completion', 'prompt']],
  ])('finds %s as a folder with its columns and both splits', (kind, columns) => {
    expect(Object.keys(loaded.trl[kind]!).sort()).toEqual(['test', 'train']);
    for (const [split, set] of Object.entries(loaded.trl[kind]!)) {
      expect(set.columns).toEqual(columns);
      expect(set.rows).toHaveLength(rowsWritten(`trl/${kind}/${split}.jsonl`)!);
    }
  });

  test('reads every row as it was written', async () => {
    for (const [kind, splits] of Object.entries(loaded.trl)) {
      for (const [split, { rows }] of Object.entries(splits)) {
        const text = await readFile(join(report.folder, 'trl', kind, `${split}.jsonl`), 'utf8');
        expect(rows).toEqual(rowsOf(text));
      }
    }
  });

  test('reads hostile text as it was', () => {
    const rows = Object.values(loaded.trl['preference']!).flatMap((set) => set.rows);
    expect(rows).toContainEqual({
      prompt: conversation,
      chosen: [{ role: 'assistant', content: `<${hostile}>` }],
      rejected: [{ role: 'assistant', content: 'x\ufffdy' }],
    });
  });
});
