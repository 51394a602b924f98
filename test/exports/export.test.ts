import { mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, test as property } from '@fast-check/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportAll, type ExportRequest } from '../../infra/exports/export.ts';
import { openSqliteLog } from '../../infra/log/sqlite.ts';
import { systemTime } from '../../infra/time.ts';
import { PermanentError } from '../../processors/processor.ts';
import type { Message } from '../../schemas/records.ts';
import {
  decode,
  filesIn,
  fill,
  logOf,
  logTopics,
  node,
  pair,
  request,
  rowsOf,
  runOf,
  type Written,
} from './support.ts';

let root = '';
let folders = 0;
const newFolder = () => join(root, `out-${folders++}`);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'spar-exports-'));
});
afterAll(() => rm(root, { recursive: true }));

/** Exports these records to a new folder, or the one of the changes. */
async function exported(written: Partial<Written>, changes: Partial<ExportRequest> = {}) {
  const folder = changes.folder ?? newFolder();
  const report = await exportAll({ ...request(await logOf(written), folder), ...changes });
  const files = await filesIn(folder);
  const rows = (path: string) => rowsOf(files[path]?.text ?? '');
  const json = (path: string): unknown => JSON.parse(files[path]!.text);
  return { folder, report, files, rows, json };
}

const turns = (...contents: readonly string[]): Message[] =>
  contents.map((content, index) => ({ role: index % 2 === 0 ? 'user' : 'assistant', content }));
const system: Message = { role: 'system', content: 'be brief' };

/** A manifest without what was read: the same records may be at other places of another log. */
const withoutOffsets = (manifest: string): object => ({
  ...(JSON.parse(manifest) as object),
  read: null,
});

const names = ['a', 'b', 'c', 'd', 'e'];

describe('preference pairs', () => {
  test('as LLaMA-Factory and TRL want them', async () => {
    const messages = [system, ...turns('one', ' two ', 'three')];
    const { rows } = await exported({
      pairs: [pair('a', { messages, chosen: ' better\n', rejected: '\nworse ' })],
    });
    const conversation = [system, ...turns('one', 'two', 'three')];
    const [better, worse] = ['better', 'worse'].map((content) => ({ role: 'assistant', content }));
    expect(rows('llamafactory/preference.jsonl')).toEqual([
      { conversations: conversation, chosen: better, rejected: worse },
    ]);
    expect(rows('trl/preference/train.jsonl')).toEqual([
      { prompt: conversation, chosen: [better], rejected: [worse] },
    ]);
  });

  test.each([
    ['equal sides', { chosen: 'same', rejected: ' same\n' }, 'equal-sides'],
    ['nothing chosen', { chosen: ' ' }, 'empty-side'],
    ['nothing rejected', { rejected: '' }, 'empty-side'],
  ])('with %s are left out and counted', async (_name, changes, reason) => {
    const bad = pair('b', changes);
    const { report, rows, json } = await exported({ pairs: [pair('a'), bad, bad] });
    expect(rows('trl/preference/train.jsonl')).toHaveLength(1);
    expect(report.counts.preference).toBe(1);
    expect(report.rejectedByReason).toMatchObject({ [reason]: 1 });
    expect(json('manifest.json')).toMatchObject({ rejected: { [reason]: 1 } });
  });

  test.each([
    ['two turns of the user in a row', [...turns('a'), ...turns('b')]],
    ['a system turn in between', [...turns('a', 'b'), system, ...turns('c')]],
    ['the assistant first', [{ role: 'assistant', content: 'a' } as const, ...turns('b')]],
  ])('with %s go to TRL alone', async (_name, messages) => {
    const { report, rows } = await exported({ pairs: [pair('a', { messages }), pair('b')] });
    expect(rows('llamafactory/preference.jsonl')).toHaveLength(1);
    expect(rows('trl/preference/train.jsonl')).toHaveLength(2);
    expect(report.rejectedByReason['llamafactory-turns']).toBe(1);
  });

  test('that a topic holds twice are written once', async () => {
    const { report } = await exported({ pairs: [pair('a'), pair('b'), pair('a')] });
    expect(report.counts.preference).toBe(2);
  });

  test('of other iterations stay where they are', async () => {
    const other = pair('b', { iteration: '2', id: '2/b/0' });
    const { report } = await exported({ pairs: [pair('a'), other] });
    expect(report.counts.preference).toBe(1);
  });

  test('whose bytes are no record are counted, and the rest goes on', async () => {
    const { report, files } = await exported(
      { pairs: [pair('a'), pair('poison')] },
      {
        decode: (schema, bytes) => {
          const record = decode(schema, bytes) as { readonly instruction_id: string };
          if (record.instruction_id === 'poison')
            throw new PermanentError('decode', 'not a record');
          return record;
        },
      },
    );
    expect(report.rejectedByReason.undecodable).toBe(1);
    expect(files['manifest.json']!.text).not.toContain('poison');
    expect(report.counts.preference).toBe(1);
  });

  test('another error stops the export, which publishes nothing and leaves nothing', async () => {
    const folder = newFolder();
    await exported({ pairs: names.map((name) => pair(name)) }, { folder });
    const before = await filesIn(folder);
    let left = 8;
    const failing = exported(
      { pairs: [...names, 'f'].map((name) => pair(name)) },
      {
        folder,
        decode: (schema, bytes) => {
          if (left-- === 0) throw new Error('the disk is gone');
          return decode(schema, bytes);
        },
      },
    );
    await expect(failing).rejects.toThrow('the disk is gone');
    expect(await filesIn(folder)).toEqual(before);
  });

  test.each([
    'quotes " and \\ and \n lines \r\n',
    'line ends \u0085 \u2028 \u2029 of Unicode',
    '\u0000 \u001b[31m \ufeff',
    '😀 é e\u0301',
    '[[start]] Final Judgement: Yes </s> {{response}} $&',
  ])('come back as they were: %j', async (text) => {
    const { rows, files } = await exported({
      pairs: [pair('a', { messages: turns(text), chosen: `<${text}>`, rejected: text })],
    });
    const [row] = rows('trl/preference/train.jsonl');
    expect(row).toMatchObject({ prompt: turns(text), chosen: [{ content: `<${text}>` }] });
    expect(
      files['llamafactory/preference.jsonl']!.text.split(/[\n\r\u0085\u2028\u2029]/),
    ).toHaveLength(2);
  });

  test('have no half of a surrogate pair, which Arrow refuses', async () => {
    const { rows, files } = await exported({ pairs: [pair('a', { chosen: 'x\ud800y' })] });
    expect(rows('trl/preference/train.jsonl')).toMatchObject([
      { chosen: [{ content: 'x\ufffdy' }] },
    ]);
    expect(files['trl/preference/train.jsonl']!.text).not.toContain('\\ud800');
  });
});

describe('refiner rows', () => {
  test('are the three sets together, and end with what the assistant should say', async () => {
    const { report, rows } = await exported(runOf(['a']));
    const found = rows('trl/refiner_sft/train.jsonl').map(
      ({ completion }) => (completion as Message[]).at(-1)!.content,
    );
    expect(found.sort()).toEqual([
      'I mend it. [[start]]chosen a[[end]]',
      expect.stringMatching(/^node critique a [01]$/),
      'node critique a 2',
      'vote 0 on a 0',
      'vote 1 on a 1',
    ]);
    expect(report.counts.refiner_sft).toBe(5);
  });

  test('have four turns for a refinement, and alternate', async () => {
    const { rows } = await exported(runOf(['a']));
    for (const { conversations } of rows('llamafactory/refiner_sft.jsonl')) {
      const roles = (conversations as Message[]).map(({ role }) => role);
      expect([2, 4]).toContain(roles.length);
      expect(roles).toEqual(roles.map((_, index) => (index % 2 === 0 ? 'user' : 'assistant')));
    }
  });

  test('of TRL have the last turn by itself, since of a conversation it would learn every turn', async () => {
    const { rows } = await exported(runOf(['a']));
    const conversations = rows('llamafactory/refiner_sft.jsonl').map(
      ({ conversations: turns }) => turns as Message[],
    );
    expect(rows('trl/refiner_sft/train.jsonl')).toEqual(
      conversations.map((turns) => ({ prompt: turns.slice(0, -1), completion: turns.slice(-1) })),
    );
  });

  test('are capped set by set, by seed', async () => {
    const caps = { refine: 2, above: 1, below: 0, fail: 3, pass: 1 };
    const settings = { ...request(await logOf({}), '').settings, caps };
    const { rows } = await exported(runOf(names), { settings });
    const last = rows('trl/refiner_sft/train.jsonl').map(
      ({ completion }) => (completion as Message[]).at(-1)!.content,
    );
    const count = (pattern: RegExp) => last.filter((text) => pattern.test(text)).length;
    expect([count(/I mend/), count(/node critique . [01]/), count(/node critique . 2/)]).toEqual([
      2, 1, 0,
    ]);
    expect([count(/ 1$/) - count(/node critique . 1/), count(/on . 0$/)]).toEqual([3, 1]);
  });

  test('hold no thought of a model', async () => {
    const { files } = await exported(runOf(names));
    for (const { text } of Object.values(files)) expect(text).not.toContain('secret thought');
  });
});

describe('what is written depends on the records alone', () => {
  property.prop(
    [
      fc.record({
        pairs: fc.shuffledSubarray(runOf(names).pairs as never[], { minLength: 5 }),
        refinements: fc.shuffledSubarray(runOf(names).refinements as never[], { minLength: 5 }),
        nodes: fc.shuffledSubarray(runOf(names).nodes as never[], { minLength: 20 }),
        verdicts: fc.shuffledSubarray(runOf(names).verdicts as never[], { minLength: 5 }),
      }),
      fc.integer({ min: 1, max: 3 }),
    ],
    { numRuns: 15 },
  )('not on their order or partition', async (written, partitions) => {
    const settings = {
      ...request(await logOf({}), '').settings,
      max_pairs: 3,
      test_share: 0.4,
      caps: { refine: 3, above: 3, below: 3, fail: 3, pass: 3 },
    };
    const texts = (files: Readonly<Record<string, { readonly text: string }>>) =>
      Object.entries(files).map(([path, { text }]) => [
        path,
        path === 'manifest.json' ? withoutOffsets(text) : text,
      ]);
    const expected = await exported(runOf(names), { settings });
    const log = await logOf(written, partitions, (index) => index);
    const found = await exported({}, { settings, log });
    expect(texts(found.files)).toEqual(texts(expected.files));
  });

  test('and on the seed', async () => {
    const [one, other] = [await exported(runOf(names)), await exported(runOf(names), { seed: 8 })];
    const path = 'trl/preference/train.jsonl';
    expect(other.files[path]!.text).not.toBe(one.files[path]!.text);
    expect(other.rows(path)).toHaveLength(one.rows(path).length);
  });

  test('a second export touches nothing', async () => {
    const first = await exported(runOf(names));
    for (const path of Object.keys(first.files)) await utimes(join(first.folder, path), 1, 1);
    const before = await filesIn(first.folder);
    await exported(runOf(names), { folder: first.folder });
    expect(await filesIn(first.folder)).toEqual(before);
  });

  test('a capped export is the first part of the whole one', async () => {
    const path = 'trl/preference/train.jsonl';
    const whole = await exported(runOf(names));
    const settings = { ...request(await logOf({}), '').settings, max_pairs: 2 };
    const capped = await exported(runOf(names), { settings });
    expect(capped.rows(path)).toEqual(whole.rows(path).slice(0, 2));
    expect(capped.report.rejectedByReason['over-cap']).toBe(3);
  });

  test('an instruction is on one side of the split, in all files', async () => {
    const settings = { ...request(await logOf({}), '').settings, test_share: 0.5 };
    const many = Array.from({ length: 30 }, (_, index) => `n${index}`);
    const { rows, report } = await exported(runOf(many), { settings });
    const instructions = (split: string) =>
      new Set(
        ['preference', 'refiner_sft']
          .flatMap((kind) => rows(`trl/${kind}/${split}.jsonl`))
          .map((row) => /instruction (n\d+)/.exec(JSON.stringify(row))?.[1]),
      );
    const [train, tests] = [instructions('train'), instructions('test')];
    expect(train.size + tests.size).toBe(30);
    expect([...train].every((name) => !tests.has(name))).toBe(true);
    expect(tests.size).toBeGreaterThan(5);
    expect(report.counts.preference).toBe(30);
  });
});

test('the same topics make the same bytes on every log, the manifest too', async () => {
  const log = openSqliteLog({
    file: join(root, 'home', 'log.sqlite'),
    topics: logTopics,
    partitions: 2,
    time: systemTime,
  });
  const run = { ...runOf(names), pairs: [...runOf(names).pairs, pair('f', { chosen: '' })] };
  try {
    await fill(log, run, (index) => index);
    const texts = ({ files }: Awaited<ReturnType<typeof exported>>) =>
      Object.entries(files).map(([path, { text }]) => [path, text]);
    const inMemory = await exported({}, { log: await logOf(run, 2, (index) => index) });
    expect(texts(await exported({}, { log }))).toEqual(texts(inMemory));
    expect(inMemory.json('manifest.json')).toMatchObject({
      read: {
        'preference-pairs': [
          { partition: 0, from: 0, to: 3 },
          { partition: 1, from: 0, to: 3 },
        ],
      },
    });
  } finally {
    await log.close();
  }
});

describe('a folder of exports', () => {
  test('holds one schema a file and one data set a folder', async () => {
    const { files } = await exported(runOf(names));
    expect(Object.keys(files)).toEqual([
      'llamafactory/dataset_info.json',
      'llamafactory/dpo.yaml',
      'llamafactory/preference.jsonl',
      'llamafactory/refiner_sft.jsonl',
      'llamafactory/sft.yaml',
      'manifest.json',
      'trl/preference/train.jsonl',
      'trl/refiner_sft/train.jsonl',
    ]);
  });

  test('tells LLaMA-Factory all five tags', async () => {
    const { json } = await exported(runOf(names));
    const tags = {
      role_tag: 'role',
      content_tag: 'content',
      user_tag: 'user',
      assistant_tag: 'assistant',
      system_tag: 'system',
    };
    expect(json('llamafactory/dataset_info.json')).toEqual({
      spar_preference: {
        file_name: 'preference.jsonl',
        formatting: 'sharegpt',
        ranking: true,
        columns: { messages: 'conversations', chosen: 'chosen', rejected: 'rejected' },
        tags,
      },
      spar_refiner_sft: {
        file_name: 'refiner_sft.jsonl',
        formatting: 'sharegpt',
        columns: { messages: 'conversations' },
        tags,
      },
    });
  });

  test.each([
    [
      'dpo',
      [
        'stage: dpo',
        'pref_beta: 0.1',
        'pref_ftx: 0.1',
        'learning_rate: 2.0e-7',
        'num_train_epochs: 1.0',
        'cutoff_len: 2048',
        'lr_scheduler_type: linear',
        'warmup_ratio: 0.1',
        'dataset: spar_preference',
      ],
    ],
    [
      'sft',
      [
        'stage: sft',
        'mask_history: true',
        'learning_rate: 2.0e-6',
        'num_train_epochs: 5.0',
        'cutoff_len: 4096',
        'lr_scheduler_type: constant_with_warmup',
        'dataset: spar_refiner_sft',
      ],
    ],
  ])("has the paper's settings ready in %s.yaml", async (name, lines) => {
    const settings = { ...request(await logOf({}), '').settings, base_model: 'a: "model"' };
    const { files } = await exported(runOf(names), { settings });
    const found = files[`llamafactory/${name}.yaml`]!.text.split('\n');
    expect(found).toEqual(
      expect.arrayContaining([...lines, 'model_name_or_path: "a: \\"model\\""']),
    );
  });

  test.each(['dpo', 'sft'])(
    'has LLaMA-Factory evaluate by %s.yaml only if there are rows for it',
    async (name) => {
      const asked = request(await logOf({}), '').settings;
      const textWith = async (testShare: number): Promise<string> => {
        const settings = { ...asked, test_share: testShare };
        const { files } = await exported(runOf([...names, 'f', 'g', 'h']), { settings });
        return files[`llamafactory/${name}.yaml`]!.text;
      };
      expect(await textWith(0)).not.toContain('eval');
      // Named alone, the set is loaded, and never evaluated.
      expect(await textWith(0.5)).toMatch(
        /^eval_dataset: spar_\w+_test\neval_strategy: epoch\nper_device_eval_batch_size: 1$/m,
      );
    },
  );

  test('has a manifest without a clock that names every other file', async () => {
    const { json, files, report } = await exported(runOf(names));
    const manifest = json('manifest.json') as { readonly files: unknown };
    expect(manifest).toMatchObject({
      pipeline: 'spar',
      complete: true,
      seed: 7,
      iterations: [
        {
          id: '1',
          seed: 7,
          models: { actor: 'actor', judge: 'judge', refiner: 'refiner' },
          judge_prompt: 'j1',
          refine_prompt: 'r1',
        },
      ],
      counts: { preference: 5, refiner_sft: 25 },
    });
    expect(manifest.files).toEqual(report.files);
    expect(report.files.map(({ path }) => path)).toEqual(
      Object.keys(files).filter((path) => path !== 'manifest.json'),
    );
    expect(report.files.find(({ path }) => path === 'llamafactory/preference.jsonl')).toMatchObject(
      {
        rows: 5,
        bytes: Buffer.byteLength(files['llamafactory/preference.jsonl']!.text),
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      },
    );
  });

  test('holds no empty data file, which loaders refuse', async () => {
    const { files, report } = await exported({ nodes: [node('a', 0, 1)] });
    expect(Object.keys(files)).toEqual(['manifest.json']);
    expect(Object.values(report.counts)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('keeps a part apart, until the whole is there', async () => {
    const folder = newFolder();
    const part = await exported({ pairs: [pair('a')] }, { folder, complete: false });
    expect(part.report.folder).toBe(join(folder, 'partial'));
    expect(Object.keys(part.files).every((path) => path.startsWith('partial/'))).toBe(true);
    const whole = await exported(runOf(names), { folder });
    expect(Object.keys(whole.files).some((path) => path.startsWith('partial'))).toBe(false);
    expect(whole.rows('trl/preference/train.jsonl')).toHaveLength(5);
    const later = await exported({ pairs: [pair('a')] }, { folder, complete: false });
    expect(later.rows('trl/preference/train.jsonl')).toHaveLength(5);
    expect(later.rows('partial/trl/preference/train.jsonl')).toHaveLength(1);
  });

  test('loses what only the export before had, and nothing else', async () => {
    const folder = newFolder();
    await exported(runOf(names), { folder });
    await writeFile(join(folder, 'trl', 'mine.txt'), 'mine');
    await writeFile(join(folder, 'notes.txt'), 'mine');
    const settings = {
      ...request(await logOf({}), '').settings,
      formats: ['llamafactory'] as const,
    };
    const { files } = await exported({ pairs: [pair('a')] }, { folder, settings });
    expect(Object.keys(files)).toEqual([
      'llamafactory/dataset_info.json',
      'llamafactory/dpo.yaml',
      'llamafactory/preference.jsonl',
      'manifest.json',
      'notes.txt',
      'trl/mine.txt',
    ]);
  });

  test.each([
    [
      'leads out of the folder',
      '{"files":[{"path":"../precious"},{"path":"/precious"},{"path":".."}]}',
    ],
    ['is not ours', '{"files":[7,{"path":null}]}'],
    ['is broken', '{'],
  ])('is safe from a manifest that %s', async (_name, manifest) => {
    const folder = newFolder();
    await mkdir(folder);
    await writeFile(join(root, 'precious'), 'mine');
    await writeFile(join(folder, 'manifest.json'), manifest);
    const { report } = await exported({ pairs: [pair('a')] }, { folder });
    expect(report.counts.preference).toBe(1);
    expect((await filesIn(root))['precious']?.text).toBe('mine');
  });
});
