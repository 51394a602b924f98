import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { exportAll, type ExportReport } from '../../infra/exports/export.ts';
import { defaultExportSettings } from '../../infra/exports/settings.ts';
import type { Reason } from '../../infra/exports/reasons.ts';
import type { Message, PreferencePair } from '../../schemas/records.ts';
import {
  filesIn,
  logOf,
  node,
  pair,
  refinement,
  request,
  responses,
  rowsOf,
  runOf,
  verdicts,
} from './support.ts';

/**
 * What people lose days to, planted among good pairs: each defect is caught, named and counted, and nothing of it
 * reaches a file. Every planted instruction has `planted` in each of its texts, so that one search finds all.
 */
const user = (content: string): readonly Message[] => [{ role: 'user', content }];
const benchmark =
  'Write a planted limerick about a lighthouse keeper who has lost his matches again.';
const shared =
  'Explain, planted as it is, why the sea is salt and rivers are not, in two sentences.';
const sentence = 'The lighthouse keeper wrote a long letter to his sister about planted matches.';
const deutsch =
  'Der Leuchtturmwärter schrieb seiner Schwester einen langen Brief über planted Streichhölzer.';

const defects: readonly (readonly [Reason, string, Partial<PreferencePair>])[] = [
  ['empty-side', 'nothing-chosen', { chosen: ' \n' }],
  ['empty-side', 'nothing-rejected', { rejected: '' }],
  ['equal-sides', 'identical', { chosen: 'planted twice', rejected: ' planted twice\n' }],
  [
    'too-close',
    'near-identical',
    { chosen: `${'planted '.repeat(100)}.`, rejected: `${'planted '.repeat(100)}!` },
  ],
  ['verdict-phrase', 'verdict', { chosen: 'planted\n\nFinal Judgement: Yes' }],
  ['verdict-phrase', 'mark', { chosen: '[[start]]planted' }],
  ['refusal', 'declines', { chosen: "I'm sorry, but I can't help with planted things." }],
  ['too-long', 'hundred-thousand', { chosen: 'planted '.repeat(100_000) }],
  ['truncated', 'cut-off', { rejected_index: 0 }],
  ['wrong-language', 'german', { messages: user(sentence), chosen: deutsch }],
  ['stale-model', 'stale', { actor_model: 'the-model-before' }],
  ['benchmark', 'leaked', { messages: user(benchmark) }],
  ['rejected-by-hand', 'disliked', {}],
  ['purged', 'private', {}],
  ['pass-rate', 'too-hard', {}],
  ['source-share', 'unwanted-source', { source: 'unwanted.jsonl' }],
];

/** Of the same prompt two may not stay: which one of them is chance's, so both are planted. */
const twins = ['twin-1', 'twin-2', 'near-1', 'near-2'];
const promptOf: Readonly<Record<string, string>> = {
  'twin-1': shared,
  'twin-2': `  ${shared.replaceAll(' ', '  ')}`,
  'near-1': `${sentence} ${sentence.replaceAll('letter', 'poem')} Sum it up.`,
  'near-2': `${sentence} ${sentence.replaceAll('letter', 'poem')} Sum it up, please.`,
};

const good = ['a', 'b', 'c', 'd', 'e'];
const planted = (name: string, changes: Partial<PreferencePair>): PreferencePair =>
  pair(name, {
    messages: user(`planted instruction of ${name}`),
    chosen: `planted chosen ${name}`,
    rejected: `planted rejected ${name}`,
    ...changes,
  });

let root = '';
let report: ExportReport;
let texts: Readonly<Record<string, string>>;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'spar-planted-'));
  const [tokenizer, benchmarks] = [join(root, 'tokenizer.json'), join(root, 'ifeval.jsonl')];
  await writeFile(
    tokenizer,
    JSON.stringify({
      version: '1.0',
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'WhitespaceSplit' },
      post_processor: null,
      decoder: null,
      model: { type: 'WordLevel', vocab: { '[UNK]': 0 }, unk_token: '[UNK]' },
    }),
  );
  await writeFile(benchmarks, JSON.stringify({ key: 7, prompt: benchmark }));
  const run = runOf(good);
  const removal = { who: 'ada', why: 'asked to', removed: true, decided_at: 0 };
  const log = await logOf({
    ...run,
    pairs: [
      ...run.pairs,
      ...defects.map(([, name, changes]) => planted(name, changes)),
      ...twins.map((name) => planted(name, { messages: user(promptOf[name]!) })),
    ],
    // The same instructions would reach the refiner's set by another way.
    refinements: [
      ...run.refinements,
      ...['leaked', 'private', 'disliked'].map((name) => ({
        ...refinement(name),
        messages: name === 'leaked' ? user(benchmark) : user(`planted ${name}`),
      })),
    ],
    nodes: [
      ...run.nodes,
      { ...node('leaked', 0, 0.6), messages: user(benchmark) },
      { ...node('private', 0, 0.6), messages: user('planted private') },
    ],
    verdicts: [
      ...run.verdicts,
      { ...verdicts('leaked'), messages: user(benchmark) },
      { ...verdicts('private'), messages: user('planted private') },
      {
        ...verdicts('too-hard'),
        judged: verdicts('too-hard').judged.map((one) => ({ ...one, verdict: 'fail', votes: [] })),
      },
    ],
    responses: [responses('cut-off', ['length', 'stop'])],
    removals: [
      {
        ...removal,
        id: 'pair/disliked/1/0',
        instruction_id: 'disliked',
        scope: 'pair',
        pair_id: '1/disliked/0',
      },
      {
        ...removal,
        id: 'instruction/private',
        instruction_id: 'private',
        scope: 'instruction',
        pair_id: null,
      },
    ],
  });
  const folder = join(root, 'out');
  report = await exportAll({
    ...request(log, folder),
    settings: {
      ...defaultExportSettings,
      sources: { 'unwanted.jsonl': 0 },
      gates: {
        ...defaultExportSettings.gates,
        tokens: { tokenizer, max: 2048, per_turn: 8 },
        distance: { min: 0.02, max: 1 },
        duplicates: { exact: true, near: 0.8 },
        benchmarks: { files: [benchmarks], words: 8, overlap: 0.5 },
        refusals: 'chosen',
        language: 'same',
        pass_rate: { min: 0.1, max: 1 },
        models: { actor: ['actor'], judge: [], refiner: [] },
      },
    },
  });
  texts = Object.fromEntries(
    Object.entries(await filesIn(folder)).map(([path, { text }]) => [path, text]),
  );
});
afterAll(() => rm(root, { recursive: true }));

const rejections = () =>
  rowsOf(texts['rejected.jsonl']!).filter(({ kind }) => kind === 'preference');

describe('a planted defect', () => {
  test.each(defects)('%s: %s is caught and named', (reason, name) => {
    expect(rejections().filter(({ instruction }) => instruction === name)).toEqual([
      {
        kind: 'preference',
        id: `1/${name}/0`,
        instruction: name,
        reason,
        detail: expect.any(String),
      },
    ]);
  });

  test.each([
    ['duplicate', 'twin'],
    ['near-duplicate', 'near'],
  ])('%s: one of two stays, and the other names it', (reason, name) => {
    const [one, ...others] = rejections().filter((row) => row['reason'] === reason);
    expect(others).toEqual([]);
    const other = String(one!['instruction']).endsWith('1') ? `1/${name}-2/0` : `1/${name}-1/0`;
    expect(String(one!['detail']).split(' ')[0]).toBe(other);
  });

  test('is counted', () => {
    const expected = Map.groupBy(defects, ([reason]) => reason);
    const counted = Object.entries(report.rejectedByReason).filter(([, count]) => count > 0);
    expect(Object.fromEntries(counted)).toEqual({
      ...Object.fromEntries([...expected].map(([reason, all]) => [reason, all.length])),
      duplicate: 1,
      'near-duplicate': 1,
    });
    expect(JSON.parse(texts['manifest.json']!)).toMatchObject({
      rejected: report.rejectedByReason,
      rejected_rows: { refiner_sft: { benchmark: 3, purged: 3, 'rejected-by-hand': 1 } },
    });
  });

  test('reaches no file that is trained on', () => {
    const data = Object.entries(texts).filter(([path]) =>
      /^(trl|llamafactory)\/.*jsonl$/.test(path),
    );
    expect(data.length).toBe(4);
    const stayed = new Set(
      twins.filter((name) => !rejections().some(({ instruction }) => instruction === name)),
    );
    expect(stayed.size).toBe(2);
    for (const [, text] of data) {
      for (const line of text.split('\n').filter((one) => one.includes('planted'))) {
        expect([...stayed].some((name) => line.includes(`planted chosen ${name}`))).toBe(true);
      }
    }
  });

  test('takes none of the good ones with it', () => {
    const chosen = rowsOf(texts['trl/preference/train.jsonl']!).map(
      (row) => (row['chosen'] as readonly Message[])[0]!.content,
    );
    expect(chosen).toEqual(expect.arrayContaining(good.map((name) => `chosen ${name}`)));
    expect(report.counts.preference).toBe(good.length + 2);
  });
});
