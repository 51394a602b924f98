import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  benchOf,
  kinds,
  splits,
  writtenForLlamaFactory,
  writtenForTrl,
  type Bench,
} from './support.ts';

let bench: Bench;
beforeAll(async () => {
  bench = await benchOf('others');
});
afterAll(() => bench.close());

/** The trainers themselves need a GPU; what they make of a row does not. */
describe('the examples that', () => {
  test("OpenRLHF's code makes of its rows are those that were written", async () => {
    const args = [join(bench.out, 'openrlhf'), bench.model];
    const { report, warnings } = await bench.loaded('openrlhf_rows', args);
    expect(warnings).toEqual([]);
    for (const kind of kinds) {
      for (const split of splits) {
        expect(report[kind][split]).toEqual(await writtenForTrl(bench.out, kind, split));
      }
    }
  });

  test("axolotl's code makes of its pairs are those that were written", async () => {
    const args = [join(bench.out, 'axolotl'), bench.model];
    const { report, warnings } = await bench.loaded('axolotl_rows', args);
    expect(warnings).toEqual([]);
    for (const split of splits) {
      const written = await writtenForLlamaFactory(bench.out, 'preference', split);
      expect(report.preference[split]).toEqual(written);
    }
  });
});
