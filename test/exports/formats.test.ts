import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, test as property } from '@fast-check/vitest';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { exportAll } from '../../infra/exports/export.ts';
import { Publication } from '../../infra/exports/files.ts';
import type { Kind } from '../../infra/exports/format.ts';
import { formatsOf } from '../../infra/exports/formats.ts';
import { parquetRows } from '../../infra/exports/parquet.ts';
import {
  defaultExportSettings,
  exportFormats,
  exportSets,
  type ExportFormat,
  type ExportSettings,
} from '../../infra/exports/settings.ts';
import type { Message } from '../../schemas/records.ts';
import {
  filesIn,
  logOf,
  outcome,
  pair,
  pathNode,
  request,
  rowsOf,
  runOf,
  type Written,
} from './support.ts';

let root = '';
let folders = 0;
const newFolder = () => join(root, `out-${folders++}`);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'spar-formats-'));
});
afterAll(() => rm(root, { recursive: true }));

const everything = { formats: exportFormats, sets: exportSets };

/** Exports these records by the default settings and these. */
async function exported(written: Partial<Written>, settings: Partial<ExportSettings>) {
  const folder = newFolder();
  const report = await exportAll({
    ...request(await logOf(written), folder),
    settings: { ...defaultExportSettings, ...settings },
  });
  const files = await filesIn(folder);
  const rows = async (path: string): Promise<readonly unknown[]> =>
    path.endsWith('.parquet')
      ? Array.fromAsync(parquetRows(join(folder, path)))
      : rowsOf(files[path]!.text);
  return { folder, report, files, rows };
}

const user = (content: string): Message => ({ role: 'user', content });
const answer = (content: string): Message => ({ role: 'assistant', content });

/** One pair with a path of two steps, of which the first made nothing better. */
const path = [
  { ...pathNode('r', null, 'worst'), value: 0 },
  { ...pathNode('r.0', 'r', ' middling '), value: 0, depth: 1 },
  { ...pathNode('r.0.1', 'r.0', 'best'), value: 0.8, depth: 2 },
];
const small = {
  pairs: [pair('a', { messages: [user('do')], chosen: ' best', rejected: 'worst\n', path })],
};

describe('the rows of each format', () => {
  const about = { source: 'in.jsonl', value: 0.8 };
  test.each([
    [
      'trl/preference/train.jsonl',
      { prompt: [user('do')], chosen: [answer('best')], rejected: [answer('worst')] },
    ],
    [
      'trl/steps/train.jsonl',
      { prompt: [user('do')], chosen: [answer('best')], rejected: [answer('middling')] },
    ],
    [
      'openrlhf/preference/train.jsonl',
      { prompt: [user('do')], chosen: [answer('best')], rejected: [answer('worst')] },
    ],
    [
      'axolotl/preference.jsonl',
      { messages: [user('do')], chosen: answer('best'), rejected: answer('worst') },
    ],
    [
      'llamafactory/steps.jsonl',
      { conversations: [user('do')], chosen: answer('best'), rejected: answer('middling') },
    ],
    [
      'huggingface/preference/train.parquet',
      {
        prompt: [user('do')],
        chosen: [answer('best')],
        rejected: [answer('worst')],
        id: '1/a/0',
        depth: 1,
        ...about,
      },
    ],
    [
      'huggingface/steps/train.parquet',
      {
        prompt: [user('do')],
        chosen: [answer('best')],
        rejected: [answer('middling')],
        id: '1/a/0/r.0.1',
        depth: 2,
        ...about,
      },
    ],
  ])('%s', async (file, row) => {
    const { rows } = await exported(small, everything);
    expect(await rows(file)).toEqual([row]);
  });

  test.each([
    [
      'trl/unpaired/train.jsonl',
      (text: string, label: boolean) => ({
        prompt: [user('do')],
        completion: [answer(text)],
        label,
      }),
    ],
    [
      'huggingface/unpaired/train.parquet',
      (text: string, label: boolean) => ({
        prompt: [user('do')],
        completion: [answer(text)],
        label,
      }),
    ],
    [
      'llamafactory/unpaired.jsonl',
      (text: string, label: boolean) => ({ conversations: [user('do'), answer(text)], label }),
    ],
  ])('%s: both sides', async (file, row) => {
    const { rows } = await exported(small, everything);
    expect(await rows(file)).toEqual([row('best', true), row('worst', false)]);
  });

  test.each(['trl/refiner_sft/train.jsonl', 'huggingface/refiner_sft/train.parquet'])(
    '%s: the same conversations, with what is to be learnt by itself',
    async (file) => {
      const { rows } = await exported(runOf(['a', 'b']), everything);
      const whole = (await rows('openrlhf/refiner_sft/train.jsonl')) as {
        readonly messages: readonly Message[];
      }[];
      expect(whole).toHaveLength(10);
      expect(await rows(file)).toEqual(
        whole.map(({ messages }) => ({
          prompt: messages.slice(0, -1),
          completion: messages.slice(-1),
        })),
      );
    },
  );

  test.each([
    ['/home/me/in.jsonl', 'in.jsonl'],
    ['C:\\me\\in.jsonl', 'in.jsonl'],
    ['-', '-'],
    ['', ''],
  ])("a hub is told a source's name, not where it lies: %s", async (source, name) => {
    const { rows } = await exported({ pairs: [pair('a', { source })] }, everything);
    expect(await rows('huggingface/preference/train.parquet')).toMatchObject([{ source: name }]);
    expect(await rows('raw/lineage/train.parquet')).toMatchObject([{ source }]);
  });

  test('axolotl is told, turn by turn, to learn the last one only, and all of it', async () => {
    const { rows } = await exported(runOf(['a']), { formats: ['axolotl'] });
    const found = (await rows('axolotl/refiner_sft.jsonl')) as {
      readonly messages: readonly (Message & { readonly train: boolean })[];
    }[];
    expect(found.map(({ messages }) => messages.length)).toContain(4);
    for (const { messages } of found) {
      const { content } = messages.at(-1)!;
      const marks = messages.map((message) => ({ ...message, role: '', content: '' }));
      expect(marks).toMatchObject([
        ...messages.slice(1).map(() => ({ train: false, train_detail: [] })),
        {
          train: true,
          train_detail: [{ begin_offset: 0, end_offset: content.length - 1, train: true }],
        },
      ]);
    }
  });

  test('axolotl counts places in Unicode characters', async () => {
    const refinements = [{ ...runOf(['a']).refinements[0]!, text: 'a 😀 é' }];
    const settings = { formats: ['axolotl'], sets: ['actor_sft'] } as const;
    const { rows } = await exported({ refinements }, settings);
    expect(await rows('axolotl/actor_sft.jsonl')).toMatchObject([
      { messages: [{}, { train_detail: [{ end_offset: 4 }] }] },
    ]);
  });

  test('axolotl gets no answer whose beginning it would not find', async () => {
    const refinements = ['a', 'b'].map((name) => ({
      ...runOf([name]).refinements[0]!,
      text: name === 'a' ? '[[x]]' : '[x]',
    }));
    const settings = { formats: ['axolotl'], sets: ['actor_sft'] } as const;
    const { rows, files } = await exported({ refinements }, settings);
    expect(await rows('axolotl/actor_sft.jsonl')).toHaveLength(1);
    expect(JSON.parse(files['manifest.json']!.text)).toMatchObject({
      rejected_rows: { actor_sft: { 'axolotl-text': 1 } },
    });
  });

  test('axolotl gets no side that it would find in the template before it', async () => {
    const pairs = [pair('a'), pair('b', { rejected: 'user' }), pair('c', { chosen: 'dummy' })];
    const { rows, report } = await exported({ pairs }, { formats: ['axolotl', 'trl'] });
    expect(await rows('axolotl/preference.jsonl')).toHaveLength(1);
    expect(await rows('trl/preference/train.jsonl')).toHaveLength(3);
    expect(report.rejectedByReason['axolotl-text']).toBe(2);
  });

  test('the sides of one pair are never neighbours, if there is another', async () => {
    const { rows } = await exported(runOf(['a', 'b', 'c', 'd']), everything);
    const found = (await rows('trl/unpaired/train.jsonl')) as {
      readonly prompt: readonly Message[];
      readonly label: boolean;
    }[];
    expect(found.map(({ label }) => label).sort()).toEqual([
      ...Array(4).fill(false),
      ...Array(4).fill(true),
    ]);
    for (const [index, { prompt }] of found.slice(1).entries()) {
      expect(prompt).not.toEqual(found[index]!.prompt);
    }
  });
});

describe('hostile text survives byte for byte', () => {
  const hostile =
    '"q" \\ \r\n \u2028 \u2029 \u0085 \u0000 \u001b[2J \ufeff 😀 e\u0301 <|im_end|> {"a": [1]} | --- \n...';
  const messages = [{ role: 'system', content: hostile } as const, user(hostile)];
  const written = {
    ...runOf(['a']),
    pairs: [pair('h', { messages, source: hostile, chosen: `<${hostile}>`, rejected: 'x\ud800y' })],
  };

  test.each(exportFormats)('in %s', async (name) => {
    const { report, rows } = await exported(written, { formats: [name] });
    const file = report.files.find(({ path: place }) => /preference|lineage/.test(place))!;
    const text = JSON.stringify(await rows(file.path));
    expect(text).toContain(JSON.stringify(`<${hostile}>`));
    expect(text).toContain(JSON.stringify(user(hostile)));
    expect(text).toContain('x\ufffdy');
  });

  property.prop([fc.array(fc.string({ unit: 'binary', maxLength: 40 }), { minLength: 1 })], {
    numRuns: 30,
  })('whatever it is, in JSON lines and in Parquet', async (texts) => {
    const pairs = texts.map((text, index) =>
      pair(`n${index}`, { chosen: `<${text}>`, rejected: `>${text}<` }),
    );
    const { rows } = await exported({ pairs }, { formats: ['trl', 'huggingface'] });
    const sides = (found: readonly unknown[]) =>
      (found as { readonly chosen: Message[]; readonly rejected: Message[] }[])
        .flatMap(({ chosen, rejected }) => [...chosen, ...rejected].map(({ content }) => content))
        .toSorted();
    const expected = texts.flatMap((text) => [`<${text}>`, `>${text}<`]).toSorted();
    expect(sides(await rows('trl/preference/train.jsonl'))).toEqual(expected);
    expect(sides(await rows('huggingface/preference/train.parquet'))).toEqual(expected);
  });

  test.each(exportFormats.filter((name) => name !== 'huggingface' && name !== 'raw'))(
    'on one line, whoever splits it, in %s',
    async (name) => {
      const { report, files } = await exported(written, { formats: [name] });
      for (const { path: place, rows } of report.files) {
        if (rows === null) continue;
        const split = files[place]!.text.split(/[\n\r\u0085\u2028\u2029]/);
        expect(split).toHaveLength(rows + 1);
      }
    },
  );
});

describe('raw', () => {
  test('has all that led to a pair, and no thought of a model', async () => {
    const run = runOf(['a', 'b']);
    const messages = [user('instruction a')];
    const pairs = [
      pair('a', {
        messages,
        path,
        constraints: [{ id: 'no_comma', arguments: '{}' }],
        cost: 0.25,
        prompt_tokens: 2 ** 40,
      }),
      pair('b'),
    ];
    const { rows, files } = await exported({ ...run, pairs }, { formats: ['raw'] });
    const found = (await rows('raw/lineage/train.parquet')) as Record<string, unknown>[];
    const row = found.find(({ id }) => id === '1/a/0')!;
    expect(row).toMatchObject(pairs[0]!);
    expect(row['nodes']).toMatchObject([
      { node_id: 'r.0', value: 0.6, text: 'text a 0', critique: 'node critique a 0' },
      { node_id: 'r.1', value: 0.8 },
      { node_id: 'r.2', value: 0.4 },
      { node_id: 'r.3', value: null, critique: null, state: 'undecided' },
    ]);
    expect(row['responses']).toMatchObject([
      {
        text: 'response 0 to a',
        verdict: 'pass',
        votes: [{ vote: 'yes' }, { vote: 'no' }, { vote: 'yes' }],
      },
      { text: 'response 1 to a', verdict: 'fail', votes: [{}, {}, {}] },
    ]);
    expect(files['raw/lineage/train.parquet']!.text).not.toContain('secret thought');
  });

  test('is there for a pair whose samples and nodes are gone', async () => {
    const { rows } = await exported({ pairs: [pair('a')] }, { formats: ['raw'] });
    expect(await rows('raw/lineage/train.parquet')).toMatchObject([{ responses: [], nodes: [] }]);
  });

  test('comes whatever the sets are', async () => {
    const { report } = await exported(runOf(['a']), {
      formats: ['raw', 'trl'],
      sets: ['refiner_sft'],
    });
    expect(report.files.map(({ path: place }) => place)).toEqual([
      'raw/lineage/train.parquet',
      'trl/refiner_sft/train.jsonl',
    ]);
    expect(report.counts).toMatchObject({ preference: 0, lineage: 1 });
  });
});

describe('the actor learns', () => {
  const run = runOf(['a', 'b', 'c']);
  const last = async (
    settings: Partial<ExportSettings['actor']>,
    written: Partial<Written> = run,
  ) => {
    const { files } = await exported(written, {
      formats: ['trl'],
      sets: ['actor_sft'],
      actor: { ...defaultExportSettings.actor, ...settings },
    });
    return rowsOf(files['trl/actor_sft/train.jsonl']?.text ?? '').map(
      ({ completion }) => (completion as Message[]).at(-1)!.content,
    );
  };
  const passing = (texts: readonly string[], finish_reason = 'stop') => ({
    ...run.verdicts[0]!,
    responses: texts.map((text, index) => ({ index, text, reasoning: null, finish_reason })),
    judged: texts.map((_, index) => ({
      index,
      verdict: 'pass' as const,
      critique: null,
      judged_by: 'model' as const,
      votes: [],
      checks: [],
    })),
  });

  test('accepted refinements and one passing response of each instruction', async () => {
    expect((await last({})).toSorted()).toEqual([
      'chosen a',
      'chosen b',
      'chosen c',
      'response 0 to a',
      'response 0 to b',
      'response 0 to c',
    ]);
  });

  test('refinements alone, if so asked', async () => {
    expect((await last({ passing: 0 })).toSorted()).toEqual(['chosen a', 'chosen b', 'chosen c']);
  });

  test('at most so many, and those do not depend on what else there is room for', async () => {
    expect(await last({ max_rows: 2 })).toEqual((await last({})).slice(0, 2));
  });

  test.each([
    ['equal texts once', ['x', ' x\n', 'y'], 'stop', ['x', 'y']],
    ['nothing that was cut off', ['x', 'y'], 'length', []],
    ['nothing that is empty', [' ', 'y'], 'stop', ['y']],
  ])('%s', async (_name, texts, finish, expected) => {
    const found = await last({ passing: 9 }, { verdicts: [passing(texts, finish)] });
    expect(found.toSorted()).toEqual(expected);
  });

  test('a record that is there twice, once', async () => {
    const twice = { ...run, refinements: [...run.refinements, ...run.refinements] };
    expect(await last({}, twice)).toEqual(await last({}));
  });
});

describe('ready configurations of axolotl', () => {
  test.each([
    [
      'dpo',
      {
        base_model: 'a: "model"',
        rl: 'dpo',
        rl_beta: 0.1,
        dpo_loss_type: ['sigmoid', 'sft'],
        dpo_loss_weights: [1, 0.1],
        datasets: [
          {
            path: 'preference.jsonl',
            ds_type: 'json',
            split: 'train',
            type: 'chat_template.default',
          },
        ],
        val_set_size: 0,
        sequence_len: 2048,
        learning_rate: 2e-7,
        num_epochs: 1,
        lr_scheduler: 'linear',
        warmup_ratio: 0.1,
      },
    ],
    [
      'sft',
      {
        datasets: [
          {
            path: 'refiner_sft.jsonl',
            type: 'chat_template',
            roles_to_train: [],
            message_field_training: 'train',
          },
        ],
        sequence_len: 4096,
        learning_rate: 2e-6,
        num_epochs: 5,
        lr_scheduler: 'constant_with_warmup',
      },
    ],
  ])('%s.yaml', async (name, expected) => {
    const { files } = await exported(runOf(['a']), {
      formats: ['axolotl'],
      base_model: 'a: "model"',
    });
    expect(parse(files[`axolotl/${name}.yaml`]!.text)).toMatchObject(expected);
  });
});

describe('the card of a data set', () => {
  const frontMatter = (card: string): unknown => parse(/^---\n([\s\S]*?)\n---\n/.exec(card)![1]!);

  test('names every file as a configuration, the pairs as the one to begin with', async () => {
    const many = Array.from({ length: 30 }, (_, index) => `n${index}`);
    const { files } = await exported(runOf(many), { ...everything, test_share: 0.4 });
    const { configs } = frontMatter(files['huggingface/README.md']!.text) as {
      readonly configs: readonly { readonly data_files: readonly { readonly path: string }[] }[];
    };
    expect(configs[0]).toMatchObject({ config_name: 'preference', default: true });
    const named = configs.flatMap(({ data_files }) =>
      data_files.map(({ path: place }) => `huggingface/${place}`),
    );
    const there = Object.keys(files).filter((place) => /^huggingface\/.*parquet$/.test(place));
    expect(named.sort()).toEqual(there);
    expect(there).toHaveLength(8);
  });

  test('says how many were accepted, how deep and how long', async () => {
    const pairs = [pair('a'), pair('b', { depth: 3, chosen: 'x'.repeat(200) })];
    const outcomes = [
      outcome('a'),
      outcome('b', { outcome: 'failed', revision: 0 }),
      outcome('b', { revision: 1 }),
      outcome('c', { outcome: 'exhausted', revision: 1 }),
      outcome('c'),
      outcome('d', { tree: null, id: '1/d', outcome: 'all-passed' }),
      outcome('e', { iteration: '2' }),
    ];
    const { files } = await exported({ pairs, outcomes }, { formats: ['huggingface'] });
    const card = files['huggingface/README.md']!.text;
    expect(card).toContain('2 of 3 searches ended in a pair (66.7 %).');
    expect(card).toContain('| 1 | 1 | 50.0 % |\n| 3 | 1 | 50.0 % |');
    expect(card).toContain('| 64 | 1 | 2 |\n| 256 | 1 | 0 |');
    expect(card).toContain('| `preference` | 2 | 0 |');
  });

  test('is not there without data', async () => {
    const { files } = await exported({}, everything);
    expect(Object.keys(files)).toEqual(['manifest.json']);
  });
});

describe('what a loader would drop or misread is never published', () => {
  const good = { prompt: [user('a')], completion: [answer('b')], label: true };
  const cases: readonly (readonly [string, ExportFormat, Kind, object])[] = [
    ['a label that is text', 'trl', 'unpaired', { ...good, label: 'true' }],
    ['a completion that is text', 'trl', 'unpaired', { ...good, completion: 'b' }],
    [
      'a side that is an object',
      'openrlhf',
      'preference',
      { prompt: [user('a')], chosen: answer('b'), rejected: [answer('c')] },
    ],
    [
      'a prompt that is text',
      'openrlhf',
      'preference',
      { prompt: 'a', chosen: [answer('b')], rejected: [answer('c')] },
    ],
    [
      'a side that is a list',
      'axolotl',
      'preference',
      { messages: [user('a')], chosen: [answer('b!')], rejected: answer('c!') },
    ],
    [
      'a side that is found too early',
      'axolotl',
      'preference',
      { messages: [user('a')], chosen: answer('user'), rejected: answer('c!') },
    ],
    ['a turn without its mark', 'axolotl', 'refiner_sft', { messages: [user('a'), answer('b')] }],
    [
      'all answers to be learnt',
      'axolotl',
      'actor_sft',
      {
        messages: [
          { ...user('a'), train: true },
          { ...answer('b'), train: true },
        ],
      },
    ],
    ['no label', 'llamafactory', 'unpaired', { conversations: [user('a'), answer('b')] }],
    ['an unanswered turn', 'llamafactory', 'unpaired', { conversations: [user('a')], label: true }],
  ];
  test.each(cases)('%s (%s, %s)', async (_name, name, kind, row) => {
    const folder = newFolder();
    const [format] = formatsOf([name], defaultExportSettings);
    const publication = new Publication(folder);
    await publication.addRow('rows.jsonl', row, format!.sets[kind]!.check);
    await expect(publication.publish({})).rejects.toThrow(/^rows\.jsonl:1: /);
    await publication.abandon();
    expect(await filesIn(folder)).toEqual({});
  });

  test('a row that does not fit its columns stops a Parquet file', async () => {
    const folder = newFolder();
    const [format] = formatsOf(['huggingface'], defaultExportSettings);
    const { check, columns } = format!.sets.unpaired!;
    const publication = new Publication(folder);
    await publication.addRow('rows.parquet', { ...good, label: null }, check, columns);
    await expect(publication.publish({})).rejects.toThrow(
      'parquet expected boolean value, got null',
    );
    await publication.abandon();
    expect(await filesIn(folder)).toEqual({});
  });
});

test('a file of any format is the same, whatever the order of the topics', async () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const settings = { ...everything, test_share: 0.4, actor: { passing: 1, max_rows: 6 } };
  const one = await exported(runOf(names), settings);
  const other = await exported(runOf(names.toReversed()), settings);
  const hashes = ({ report }: typeof one) =>
    report.files.map(({ path: place, sha256 }) => [place, sha256]);
  expect(hashes(other)).toEqual(hashes(one));
  expect(hashes(one).length).toBeGreaterThan(30);
});
