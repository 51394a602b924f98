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

interface Row {
  readonly prompt: readonly Message[];
  readonly chosen: readonly [Message];
  readonly rejected: readonly [Message];
  readonly completion: readonly [Message];
}

async function written(kind: Kind, split: Split): Promise<readonly Seen[]> {
  const text = await readFile(join(bench.out, 'trl', kind, `${split}.jsonl`), 'utf8');
  return rowsIn<Row>(text).map(({ prompt, chosen, rejected, completion }) =>
    kind === 'preference'
      ? expected(prompt, chosen[0], rejected[0])
      : expected(prompt, completion[0]),
  );
}

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
        expect(rows).toEqual(await written(kind, split));
      }
    }
  });
});
