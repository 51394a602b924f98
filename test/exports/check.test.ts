import { appendFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { checkText } from '../../infra/cli/export-check.ts';
import { checkExport } from '../../infra/exports/check.ts';
import { exportAll } from '../../infra/exports/export.ts';
import { defaultExportSettings, exportFormats, exportSets } from '../../infra/exports/settings.ts';
import { logOf, pair, request, runOf } from './support.ts';

let root = '';
let folders = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'spar-check-'));
});
afterAll(() => rm(root, { recursive: true }));

/** A folder with every format and set, written a moment ago. */
async function written(complete = true): Promise<string> {
  const folder = join(root, `out-${folders++}`);
  const run = runOf(['a', 'b', 'c']);
  const pairs = run.pairs.map((one, index) => ({ ...one, path: run.refinements[index]!.path }));
  const settings = { ...defaultExportSettings, formats: exportFormats, sets: exportSets };
  const report = await exportAll({
    ...request(await logOf({ ...run, pairs }), folder),
    complete,
    settings,
  });
  return report.folder;
}

test('what was just written has no problem, and every first row is there', async () => {
  const { complete, problems, files } = await checkExport(await written());
  expect({ complete, problems }).toEqual({ complete: true, problems: [] });
  const data = files.filter(({ rows }) => rows !== null);
  expect(data).toHaveLength(5 + 5 + 4 + 4 + 5 + 1);
  for (const { first } of data) expect(first).toBeTypeOf('object');
});

test('a part says that it is one', async () => {
  expect(await checkExport(await written(false))).toMatchObject({ complete: false, problems: [] });
});

describe('a file that was changed is named, with the line', () => {
  const trl = 'trl/preference/train.jsonl';
  const llamafactory = 'llamafactory/preference.jsonl';
  type Damage = (text: string) => string;
  /** Changes the second row. */
  const second =
    (change: (row: Record<string, unknown>) => unknown): Damage =>
    (text) =>
      text
        .split('\n')
        .map((line, index) =>
          index === 1 ? JSON.stringify(change(JSON.parse(line) as Record<string, unknown>)) : line,
        )
        .join('\n');

  test.each<readonly [string, string, Damage, number | null, RegExp]>([
    ['a key too many', trl, second((row) => ({ ...row, id: 1 })), 2, /expected the keys/],
    [
      'a key too few',
      trl,
      second(({ chosen, rejected }) => ({ chosen, rejected })),
      2,
      /must be a list of messages/,
    ],
    ['a side that is no list', trl, second((row) => ({ ...row, chosen: 'x' })), 2, /a list of one/],
    ['a side that is empty', trl, second((row) => ({ ...row, chosen: [] })), 2, /a list of one/],
    ['a null', trl, second((row) => ({ ...row, rejected: null })), 2, /a list of one answer/],
    [
      'an extra key in a turn',
      trl,
      second((row) => ({ ...row, prompt: [{ role: 'user', content: 'x', name: 'n' }] })),
      2,
      /prompt\[\]\.name is string, and nothing in the first row/,
    ],
    [
      'half of a character',
      trl,
      second((row) => ({ ...row, chosen: [{ role: 'assistant', content: 'x\ud800' }] })),
      2,
      /half of a surrogate pair/,
    ],
    [
      'an even prompt',
      llamafactory,
      second((row) => ({
        ...row,
        conversations: [
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'b' },
        ],
      })),
      2,
      /must alternate and end with the user/,
    ],
    [
      'a list for a side',
      llamafactory,
      second((row) => ({ ...row, chosen: [row['chosen']] })),
      2,
      /not a list/,
    ],
    [
      'a turn that is not marked',
      'axolotl/refiner_sft.jsonl',
      second(() => ({
        messages: [
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'b' },
        ],
      })),
      2,
      /train: true/,
    ],
    ['no JSON', trl, (text) => text.replace(/\n.*\n/, '\n{"prompt": \n'), 2, /not JSON/],
    ['no object', trl, (text) => text.replace(/\n.*\n/, '\n[1]\n'), 2, /no JSON object/],
    ['an empty line', trl, (text) => `${text}\n`, 4, /is empty/],
    [
      'a row less',
      trl,
      (text) => text.replace(/\n.*\n/, '\n'),
      null,
      /has 2 rows, the manifest says 3/,
    ],
    ['another text', trl, (text) => text.replace('chosen a', 'chosen x'), null, /was changed/],
  ])('%s', async (_name, path, damage, line, what) => {
    const folder = await written();
    const place = join(folder, path);
    await writeFile(place, damage(await readFile(place, 'utf8')));
    const { problems } = await checkExport(folder);
    expect(problems).toContainEqual({
      file: path,
      line,
      what: expect.stringMatching(what),
      remedy: expect.stringMatching(/export again/),
    });
    expect(problems).toContainEqual(
      expect.objectContaining({ file: path, what: expect.stringMatching(/was changed/) }),
    );
    expect(new Set(problems.map(({ file }) => file))).toEqual(new Set([path]));
  });

  test('bytes that are no text', async () => {
    const folder = await written();
    await appendFile(join(folder, trl), Buffer.from([0x7b, 0xff, 0x7d, 0x0a]));
    const { problems } = await checkExport(folder);
    expect(problems).toContainEqual(expect.objectContaining({ line: 4, what: 'it is not UTF-8' }));
  });

  test('a Parquet file that was cut', async () => {
    const folder = await written();
    const place = join(folder, 'huggingface/preference/train.parquet');
    const bytes = await readFile(place);
    await writeFile(place, bytes.subarray(0, bytes.length - 20));
    const { problems } = await checkExport(folder);
    expect(problems.map(({ what }) => what)).toContainEqual(
      expect.stringMatching(/cannot be read/),
    );
  });

  test('more problems than anyone reads are counted', async () => {
    const folder = await written();
    await appendFile(join(folder, trl), '{"a":1}\n'.repeat(1000));
    const { problems } = await checkExport(folder);
    expect(problems.length).toBeLessThan(30);
    expect(problems).toContainEqual(
      expect.objectContaining({ what: '980 more rows have a problem' }),
    );
  });
});

describe('around the files', () => {
  test('one that is gone', async () => {
    const folder = await written();
    await rm(join(folder, 'trl/preference/train.jsonl'));
    const { problems } = await checkExport(folder);
    expect(problems).toMatchObject([
      { file: 'trl/preference/train.jsonl', what: 'it is not there' },
    ]);
  });

  test('one that a loader would take for data', async () => {
    const folder = await written();
    await writeFile(join(folder, 'trl/preference/old.jsonl'), '{}\n');
    const { problems } = await checkExport(folder);
    expect(problems).toMatchObject([
      { file: 'trl/preference/old.jsonl', what: /take it for data/, remedy: 'move it elsewhere' },
    ]);
  });

  test('a configuration is there to be edited, and other data sets to be added', async () => {
    const folder = await written();
    await appendFile(join(folder, 'llamafactory/dpo.yaml'), 'bf16: false\n');
    const place = join(folder, 'llamafactory/dataset_info.json');
    const information = JSON.parse(await readFile(place, 'utf8')) as object;
    await writeFile(place, JSON.stringify({ mine: { file_name: 'mine.json' }, ...information }));
    expect((await checkExport(folder)).problems).toEqual([]);
  });

  test.each([
    ['a tag left out', (text: string) => text.replace(',\n      "system_tag": "system"', '')],
    ['another file', (text: string) => text.replace('"preference.jsonl"', '"pairs.jsonl"')],
    ['no JSON', () => '{'],
  ])('dataset_info.json with %s', async (_name, damage) => {
    const folder = await written();
    const place = join(folder, 'llamafactory/dataset_info.json');
    await writeFile(place, damage(await readFile(place, 'utf8')));
    const { problems } = await checkExport(folder);
    expect(problems.map(({ file }) => file)).toEqual(['llamafactory/dataset_info.json']);
  });

  test.each([
    ['no manifest', null, /has no manifest\.json/],
    ['one that is broken', '{', /is no manifest of ours/],
    ['one of somebody else', '{"files":[1]}', /is no manifest of ours/],
  ])('%s', async (_name, manifest, message) => {
    const folder = join(root, `bare-${folders++}`);
    await mkdir(folder);
    if (manifest !== null) await writeFile(join(folder, 'manifest.json'), manifest);
    await expect(checkExport(folder)).rejects.toThrow(message);
  });

  test('a manifest never leads out of its folder', async () => {
    const folder = await written();
    await rename(join(folder, 'manifest.json'), join(folder, 'old.json'));
    const files = [{ path: '../../etc/passwd', rows: 1, bytes: 1, sha256: 'x' }];
    await writeFile(join(folder, 'manifest.json'), JSON.stringify({ complete: true, files }));
    expect(await checkExport(folder)).toMatchObject({ files: [], problems: [] });
  });
});

test('nothing that a model said reaches the terminal as it is', async () => {
  const folder = join(root, 'hostile');
  const hostile = `\u001b[2J\u202e\u0007\r\n${'long '.repeat(100)}`;
  const settings = { ...defaultExportSettings, formats: exportFormats };
  const messages = [{ role: 'user', content: hostile } as const];
  const pairs = [
    pair('a', { messages, chosen: hostile, rejected: 'what failed', source: hostile }),
  ];
  await exportAll({ ...request(await logOf({ pairs }), folder), settings });
  const text = checkText(await checkExport(folder));
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\u202a-\u202e]/u);
  for (const line of text.split('\n')) expect(line.length).toBeLessThan(300);
  expect(text).toContain('assistant: [2J long long');
  expect(text).toContain('6 data files in');
});
