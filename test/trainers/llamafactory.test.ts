import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Message } from '../../schemas/records.ts';
import {
  benchOf,
  expected,
  kinds,
  rowsIn,
  splits,
  type Bench,
  type Kind,
  type Seen,
  type Split,
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

interface Row {
  readonly conversations: readonly Message[];
  readonly chosen: Message;
  readonly rejected: Message;
}

const fileOf = (kind: Kind, split: Split): string =>
  `${kind}${split === 'train' ? '' : '_test'}.jsonl`;

async function written(kind: Kind, split: Split): Promise<readonly Seen[]> {
  const text = await readFile(join(folder, fileOf(kind, split)), 'utf8');
  return rowsIn<Row>(text).map(({ conversations, chosen, rejected }) =>
    kind === 'preference'
      ? expected(conversations, chosen, rejected)
      : expected(conversations.slice(0, -1), ...conversations.slice(-1)),
  );
}

describe("LLaMA-Factory's loaders", () => {
  test('take every row for what it is, and learn the answers alone, without a warning', async () => {
    const { report, warnings } = await bench.loaded('llamafactory_rows', [bench.model], folder);
    expect(aboutData(warnings)).toEqual([]);
    for (const kind of kinds) {
      for (const split of splits) {
        const rows = report[kind][split];
        expect(rows.length).toBeGreaterThan(5);
        expect(rows.length).toBe(bench.rowsInManifest.get(`llamafactory/${fileOf(kind, split)}`));
        expect(rows).toEqual(await written(kind, split));
      }
    }
  });
});
