import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  benchOf,
  inReadme,
  kinds,
  logged,
  splits,
  type Bench,
  writtenForTrl,
  type Warning,
} from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await benchOf('trl');
});
afterAll(() => bench.close());

/** What these versions say on any data. */
const aboutOthers = [
  // transformers, of itself and of what TRL sets.
  /is deprecated and will be removed in v6/,
  // accelerate, of a machine that it was not told about.
  /were not passed to `accelerate launch`/,
  // PyTorch, of a machine without a GPU.
  /'pin_memory' argument is set as true but no accelerator is found/,
];
const aboutData = (warnings: readonly Warning[]): readonly Warning[] =>
  warnings.filter(({ text }) => !aboutOthers.some((known) => known.test(text)));

describe("TRL's loaders", () => {
  test('take every row for what it is, and learn the answers alone, without a warning', async () => {
    const { report, warnings } = await bench.loaded('trl_rows', [
      join(bench.out, 'trl'),
      bench.model,
    ]);
    expect(aboutData(warnings)).toEqual([]);
    for (const kind of kinds) {
      for (const split of splits) {
        const rows = report[kind][split];
        expect(rows.length).toBeGreaterThan(5);
        expect(rows.length).toBe(bench.rowsInManifest.get(`trl/${kind}/${split}.jsonl`));
        expect(rows).toEqual(await writtenForTrl(bench.out, kind, split));
      }
    }
  });
});

describe("TRL's commands, as README has them", () => {
  const small = [
    '--bf16',
    'False',
    '--max_steps',
    '4',
    '--logging_steps',
    '1',
    '--save_steps',
    '4',
  ];

  test.each(['dpo', 'sft'])('trl %s learns from them, without a warning', async (command) => {
    const output = join(bench.folder, command);
    const [trl = '', ...words] = await inReadme(`trl ${command}`);
    const args = words.map((word) =>
      word === 'MODEL' ? bench.model : word.replace(/^spar-out/, bench.out),
    );
    const warnings = await bench.run(trl, [...args, '--output_dir', output, ...small]);
    expect(aboutData(warnings)).toEqual([]);
    const { steps } = await logged(join(output, 'checkpoint-4'));
    expect(steps).toHaveLength(4);
    for (const { loss, grad_norm: gradient } of steps) {
      expect(loss).toBeGreaterThan(0);
      expect(gradient).toBeGreaterThan(0);
    }
    // What was learnt is seen in the step after: sides that the model told apart no better before.
    if (command === 'dpo') expect(steps.at(-1)!['rewards/margins']).not.toBe(0);
  });

  test('README says how long a row may be, as our configurations do: the default of TRL is shorter', async () => {
    expect(await inReadme('trl dpo')).toEqual(expect.arrayContaining(['--max_length', '2048']));
    expect(await inReadme('trl sft')).toEqual(expect.arrayContaining(['--max_length', '4096']));
  });
});
