import { appendFile, cp } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  benchOf,
  inReadme,
  kinds,
  llamaFactoryFile,
  logged,
  splits,
  type Bench,
  writtenForLlamaFactory,
  type Warning,
} from './support.ts';

let bench: Bench;
let folder = '';
beforeAll(async () => {
  bench = await benchOf('llamafactory');
  folder = join(bench.out, 'llamafactory');
});
afterAll(() => bench.close());

/** What these versions say on any data. */
const aboutOthers = [
  // Our copy runs without bf16, since not every processor has it.
  /^We recommend enable mixed precision training\.$/,
  // transformers and TRL, of settings that LLaMA-Factory 0.9.5 asks for or passes on.
  /^warmup_ratio is deprecated and will be removed/,
  /^`torch_dtype` is deprecated/,
  /The `padding_value` property is deprecated/,
  // PyTorch, of a machine without a GPU.
  /'pin_memory' argument is set as true but no accelerator is found/,
];
const aboutData = (warnings: readonly Warning[]): readonly Warning[] =>
  warnings.filter(({ text }) => !aboutOthers.some((known) => known.test(text)));

describe("LLaMA-Factory's loaders", () => {
  test('take every row for what it is, and learn the answers alone, without a warning', async () => {
    const { report, warnings } = await bench.loaded('llamafactory_rows', [bench.model], folder);
    expect(aboutData(warnings)).toEqual([]);
    for (const kind of kinds) {
      for (const split of splits) {
        const rows = report[kind][split];
        expect(rows.length).toBeGreaterThan(5);
        expect(rows.length).toBe(bench.rowsInManifest.get(llamaFactoryFile(kind, split)));
        expect(rows).toEqual(await writtenForLlamaFactory(bench.out, kind, split));
      }
    }
  });

  test('would have told: a row of two user turns that someone added is dropped with a warning', async () => {
    const broken = join(bench.folder, 'broken');
    await cp(folder, broken, { recursive: true });
    const turns = ['one', 'two'].map((content) => ({ role: 'user', content }));
    const side = { role: 'assistant', content: 'three' };
    const row = { conversations: turns, chosen: side, rejected: side };
    await appendFile(join(broken, 'preference.jsonl'), `${JSON.stringify(row)}\n`);
    const { report, warnings } = await bench.loaded('llamafactory_rows', [bench.model], broken);
    expect(report.preference.train).toEqual(
      await writtenForLlamaFactory(bench.out, 'preference', 'train'),
    );
    expect(aboutData(warnings).map(({ text }) => text)).toEqual(
      expect.arrayContaining([expect.stringContaining('Skipping this abnormal example')]),
    );
  });
});

describe("LLaMA-Factory's command, as README has it, with our configurations", () => {
  test.each([
    { file: 'dpo.yaml', kind: 'preference', changes: [] },
    // Five epochs would take minutes.
    { file: 'sft.yaml', kind: 'refiner_sft', changes: ['max_steps=4'] },
  ] as const)(
    'train $file learns and evaluates, without a warning',
    async ({ file, kind, changes }) => {
      const output = join(bench.folder, file.replace('.yaml', ''));
      const [command = '', ...args] = await inReadme(`llamafactory-cli train ${file}`);
      const small = [`model_name_or_path=${bench.model}`, 'bf16=false', 'logging_steps=1'];
      const warnings = await bench.run(
        command,
        [...args, ...small, `output_dir=${output}`, ...changes],
        folder,
      );
      expect(aboutData(warnings)).toEqual([]);
      const { steps, evaluations } = await logged(output);
      // Eight rows a step, once through the rows.
      const rows = bench.rowsInManifest.get(llamaFactoryFile(kind, 'train'))!;
      expect(steps).toHaveLength(changes.length > 0 ? 4 : Math.ceil(rows / 8));
      for (const { loss, grad_norm: gradient } of steps) {
        expect(loss).toBeGreaterThan(0);
        expect(gradient).toBeGreaterThan(0);
      }
      expect(evaluations).toHaveLength(1);
      expect(evaluations[0]!['eval_loss']).toBeGreaterThan(0);
      if (kind === 'preference') expect(steps.at(-1)!['rewards/margins']).not.toBe(0);
    },
  );
});
