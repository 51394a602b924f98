import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import type { GateSettings } from '../../../infra/exports/settings.ts';
import type { Message, PreferencePair } from '../../../schemas/records.ts';
import { logOf, pair, responses, runOf, verdicts } from '../support.ts';
import { allOff, exportedOf, fileWith, settingsWith } from './support.ts';

const user = (content: string): readonly Message[] => [{ role: 'user', content }];

/** A gate on its own: all others are off. */
const only = (gates: Partial<GateSettings>) => settingsWith({ ...allOff, ...gates });

describe('phrases that belong between us and the models', () => {
  test.each<[string, Partial<PreferencePair>, string | null]>([
    ['a mark', { chosen: 'Sure. [[start]]yes' }, '[[start]]'],
    ['a closing mark', { chosen: 'yes [[end]]' }, '[[end]]'],
    ['a verdict', { chosen: 'Good.\nFinal Judgement: Yes' }, 'Final Judgement: Yes'],
    ['a verdict in bold', { chosen: '**Final Judgement:** No' }, 'Final Judgement: No'],
    ['in other letters and gaps', { chosen: 'FINAL  judgement:\nyes' }, 'Final Judgement: Yes'],
    ['only in the rejected side', { rejected: '[[start]]' }, null],
    ['a judgement of another kind', { chosen: 'The final judgement of Osiris' }, null],
    [
      'what the instruction asks for',
      { messages: user('Put it between [[start]] and [[end]].'), chosen: '[[start]]a[[end]]' },
      null,
    ],
  ])('%s', async (_name, changes, phrase) => {
    const { phrases } = settingsWith({}).gates;
    const { rejected } = await exportedOf({ pairs: [pair('a', changes)] }, only({ phrases }));
    expect(rejected).toEqual(phrase === null ? [] : [`1/a/0: verdict-phrase (${phrase})`]);
  });
});

describe('refusals', () => {
  const refused = 'I’m sorry, but I can’t help with that.';

  test.each<[string, string, boolean]>([
    ['sorry', refused, true],
    ['as an AI', 'As an AI language model, I cannot have opinions.', true],
    ['plainly', 'I cannot assist with that request.', true],
    ['unable', 'Unfortunately, I am unable to do this.', true],
    ['later in the text', `She said: ${refused}`, false],
    ['a letter', 'Dear Ada, I am sorry that I missed your call.', false],
    ['an apology', 'I am sorry to hear that. Here is what you can do.', false],
    ['an ability', 'I can help with that.', false],
  ])('%s', async (_name, chosen, isRefusal) => {
    const { rejected } = await exportedOf(
      { pairs: [pair('a', { chosen })] },
      only({ refusals: 'chosen' }),
    );
    expect(rejected.length).toBe(isRefusal ? 1 : 0);
    if (isRefusal) expect(rejected[0]).toMatch(/^1\/a\/0: refusal \(chosen: /);
  });

  test.each([
    ['off', []],
    ['chosen', []],
    ['either', ["1/a/0: refusal (rejected: I'm sorry, but I can't)"]],
  ] as const)('of the rejected side with %s', async (refusals, expected) => {
    const pairs = [pair('a', { rejected: refused })];
    expect((await exportedOf({ pairs }, only({ refusals }))).rejected).toEqual(expected);
  });
});

describe('sides that were cut off', () => {
  const open = { node_id: 'r.0', parent_id: 'r', depth: 1, text: 'x', value: 1 };
  const votes = { yes: 5, no: 0, invalid: 0, critique: '', judged_by: 'model' as const };
  const path = [{ ...open, ...votes, answer: 'Mended: [[start]]x' }];
  // The rejected side of a pair is response 2.
  const cut = [
    responses('a', ['stop', 'stop', 'length']),
    responses('b', ['length', 'stop', 'stop']),
  ];

  test('are known where the server said so', async () => {
    const pairs = [pair('a'), pair('b'), pair('c')];
    const { kept, rejected } = await exportedOf(
      { pairs, responses: cut },
      only({ truncated: 'known' }),
    );
    expect(kept.toSorted()).toEqual(['b', 'c']);
    expect(rejected).toEqual(['1/a/0: truncated (rejected: finish reason length)']);
  });

  test('are known of responses that the judge has sampled, too', async () => {
    const [first] = cut;
    const sampledOn = { ...verdicts('a'), responses: first!.responses };
    const { rejected } = await exportedOf(
      {
        pairs: [pair('a')],
        responses: [{ ...first!, responses: first!.responses.slice(0, 1) }],
        verdicts: [sampledOn],
      },
      only({ truncated: 'known' }),
    );
    expect(rejected).toEqual(['1/a/0: truncated (rejected: finish reason length)']);
  });

  test.each([
    ['off', 0],
    ['known', 0],
    ['likely', 1],
  ] as const)('are likely where a mark stays open: %s', async (truncated, count) => {
    const { rejected } = await exportedOf({ pairs: [pair('a', { path })] }, only({ truncated }));
    expect(rejected).toHaveLength(count);
  });
});

describe('the distance of the sides', () => {
  test.each<[string, string, string, string | null]>([
    [
      'one mark of twenty pieces',
      'a b c d e f g h i j.',
      'a b c d e f g h i j!',
      'too-close (0.0500)',
    ],
    ['half of it', 'a b', 'a c d', null],
    ['all of it', 'a', 'b', 'too-far (1.0000)'],
  ])('%s', async (_name, chosen, rejected, expected) => {
    const pairs = [pair('a', { chosen, rejected })];
    const found = await exportedOf({ pairs }, only({ distance: { min: 0.06, max: 0.9 } }));
    expect(found.rejected).toEqual(expected === null ? [] : [`1/a/0: ${expected}`]);
  });

  test('is told of all that came so far, whether they stay or not', async () => {
    const pairs = [
      pair('a', { chosen: 'a b', rejected: 'a c' }),
      pair('b', { chosen: 'x', rejected: 'y' }),
      pair('c', { chosen: '', rejected: 'y' }),
    ];
    const { manifest } = await exportedOf({ pairs }, only({ distance: { min: 0, max: 0.5 } }));
    expect(manifest['distances']).toEqual({
      ...{ pairs: 2, smallest: 0.3333333333333333, p5: 0.3333333333333333 },
      ...{ p25: 0.3333333333333333, median: 1, p75: 1, p95: 1, largest: 1 },
      tenths: [0, 0, 0, 1, 0, 0, 0, 0, 0, 1],
    });
  });
});

test('the pass rate of an instruction says how hard it is', async () => {
  const judged = (name: string, passed: number) => ({
    ...verdicts(name),
    judged: Array.from({ length: 4 }, (_, index) => ({
      index,
      verdict: index < passed ? ('pass' as const) : ('fail' as const),
      critique: null,
      judged_by: 'model' as const,
      votes: [],
      checks: [],
    })),
  });
  const { kept, rejected } = await exportedOf(
    {
      pairs: ['a', 'b', 'c', 'd'].map((name) => pair(name)),
      verdicts: [judged('a', 0), judged('b', 1), judged('c', 3)],
    },
    only({ pass_rate: { min: 0.25, max: 0.5 } }),
  );
  // Nothing is known of d.
  expect(kept.toSorted()).toEqual(['b', 'd']);
  expect(rejected).toEqual([
    '1/a/0: pass-rate (0 of 4 passed)',
    '1/c/0: pass-rate (3 of 4 passed)',
  ]);
});

test('pairs of other model versions than those named are stale', async () => {
  const { kept, rejected } = await exportedOf(
    {
      pairs: [
        pair('a', { actor_model: 'v2' }),
        pair('b', { actor_model: 'v1' }),
        pair('c', { actor_model: 'v2', judge_model: 'old' }),
      ],
    },
    only({ models: { actor: ['v2', 'v3'], judge: ['judge'], refiner: [] } }),
  );
  expect(kept).toEqual(['a']);
  expect(rejected).toEqual(['1/b/0: stale-model (actor v1)', '1/c/0: stale-model (judge old)']);
});

describe('lengths, by the tokenizer of the model to train', () => {
  /** A word is a token. */
  const tokenizer = JSON.stringify({
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'WhitespaceSplit' },
    post_processor: null,
    decoder: null,
    model: { type: 'WordLevel', vocab: { '[UNK]': 0, word: 1 }, unk_token: '[UNK]' },
  });
  const words = (count: number, last = 'word') => `${'word '.repeat(count - 1)}${last}`;

  test.each([
    ['the prompt with the longer side, to the last token', 40, 50, null],
    ['one token more', 40, 51, 'prompt 40, chosen 40, rejected 51 tokens'],
    ['a side of a hundred thousand', 100_000, 1, 'prompt 40, chosen 100000, rejected 1 tokens'],
  ])('%s', async (_name, chosen, rejected, detail) => {
    const path = await fileWith('tokenizer.json', tokenizer);
    const one = pair('a', {
      messages: user(words(40)),
      chosen: words(chosen, 'one'),
      rejected: words(rejected, 'other'),
    });
    const found = await exportedOf(
      { pairs: [one] },
      only({ tokens: { tokenizer: path, max: 90, per_turn: 0 } }),
    );
    expect(found.rejected).toEqual(detail === null ? [] : [`1/a/0: too-long (${detail})`]);
    expect(found.manifest['gate_files']).toEqual([{ path, sha256: expect.any(String) }]);
  });

  test('every turn has the marks of the template', async () => {
    const path = await fileWith('tokenizer.json', tokenizer);
    const messages = [{ role: 'system', content: words(3) } as const, ...user(words(5))];
    const one = pair('a', { messages, chosen: words(7), rejected: words(6) });
    const found = await exportedOf(
      { pairs: [one] },
      only({ tokens: { tokenizer: path, max: 44, per_turn: 10 } }),
    );
    expect(found.rejected).toEqual(['1/a/0: too-long (prompt 28, chosen 17, rejected 16 tokens)']);
  });

  test.each([
    ['is missing', null],
    ['is none', '{}'],
    ['is no JSON', 'x'],
  ])('a file that %s stops the export before anything is read', async (_name, text) => {
    const path = text === null ? '/nowhere/tokenizer.json' : await fileWith('t.json', text);
    const settings = only({ tokens: { tokenizer: path, max: 9, per_turn: 0 } });
    await expect(exportedOf({ pairs: [pair('a')] }, settings)).rejects.toThrow(
      `export.gates.tokens.tokenizer ${path} is not a tokenizer.json that can be read: `,
    );
  });
});

describe('the language of the chosen text', () => {
  const english =
    'The cat sat on the mat, and nobody in the house knew how long it had been there.';
  const german =
    'Die Katze saß auf der Matte, und niemand im Haus wusste, wie lange sie schon dort gewesen war.';

  test.each<[string, Partial<PreferencePair>, string | null]>([
    ['is that of the instruction', { messages: user(english), chosen: english }, null],
    ['is another', { messages: user(english), chosen: german }, 'de, not en'],
    ['is another one way and the other', { messages: user(german), chosen: english }, 'en, not de'],
    ['was asked for', { messages: user(`${english} Answer in German.`), chosen: german }, null],
    [
      'was asked for in its own words',
      { messages: user(`${english} Bitte auf Deutsch!`), chosen: german },
      null,
    ],
    [
      'is a constraint',
      {
        messages: user(english),
        constraints: [{ id: 'language:response_language', arguments: '{"language": "de"}' }],
        chosen: german,
      },
      null,
    ],
    [
      'is a constraint that it breaks',
      {
        messages: user(german),
        constraints: [{ id: 'language:response_language', arguments: '{"language": "en"}' }],
        chosen: german,
      },
      'de, not en',
    ],
    ['is too short to tell', { messages: user(english), chosen: 'Guten Tag!' }, null],
  ])('%s', async (_name, changes, detail) => {
    const pairs = [pair('a', changes)];
    const { rejected } = await exportedOf({ pairs }, only({ language: 'same' }));
    expect(rejected).toEqual(detail === null ? [] : [`1/a/0: wrong-language (${detail})`]);
  });
});

describe('the share of a source', () => {
  const pairs = Array.from({ length: 200 }, (_, index) =>
    pair(`${index}`, { source: index % 2 === 0 ? 'easy.jsonl' : 'hard.jsonl' }),
  );

  test('is kept of it, and all of the others', async () => {
    const settings = settingsWith(allOff, { sources: { 'easy.jsonl': 0.3, 'other.jsonl': 0 } });
    const { kept, rejected, manifest } = await exportedOf({ pairs }, settings);
    const easy = kept.filter((name) => Number(name) % 2 === 0).length;
    expect([easy > 15 && easy < 45, kept.length - easy]).toEqual([true, 100]);
    expect(rejected).toContain('1/0/0: source-share (easy.jsonl 0.3)');
    expect(rejected.length).toBe(100 - easy);
    expect(manifest['sources']).toEqual({
      'easy.jsonl': { read: 100, chosen: easy },
      // A name that no pair has is seen by its zeros.
      'other.jsonl': { read: 0, chosen: 0 },
    });
  });

  test('0 leaves it out, and a larger share keeps what a smaller kept', async () => {
    const keptWith = async (share: number) =>
      new Set(
        (await exportedOf({ pairs }, settingsWith(allOff, { sources: { 'easy.jsonl': share } })))
          .kept,
      );
    const [none, some, more] = [await keptWith(0), await keptWith(0.2), await keptWith(0.6)];
    expect(none.size).toBe(100);
    expect([...some].every((name) => more.has(name))).toBe(true);
    expect(more.size).toBeGreaterThan(some.size);
  });
});

describe('laws of all gates', () => {
  test('a gate that is off changes nothing', async () => {
    const run = runOf(['a', 'b', 'c', 'd', 'e']);
    const off = await exportedOf(run, settingsWith(allOff));
    const defaults = await exportedOf(run, settingsWith({}));
    const data = (texts: Readonly<Record<string, string>>) =>
      Object.entries(texts).filter(([path]) => path !== 'manifest.json');
    expect(data(off.texts)).toEqual(data(defaults.texts));
    expect(off.rejected).toEqual([]);
  });

  const messy = [
    pair('a', { chosen: '[[start]]' }),
    pair('b', { chosen: 'same', rejected: 'same' }),
    ...['c', 'd', 'e'].map((name) => pair(name, { messages: user('the same prompt for all') })),
    ...['f', 'g', 'h'].map((name) =>
      pair(name, { messages: user(`${'one two three four five six '.repeat(5)}${name}`) }),
    ),
    pair('i', { rejected: '' }),
    pair('j', { actor_model: 'old' }),
  ];
  const strict = settingsWith(
    {
      duplicates: { exact: true, near: 0.6 },
      models: { actor: ['actor'], judge: [], refiner: [] },
    },
    { max_pairs: 2, sources: { 'in.jsonl': 0.9 } },
  );

  property.prop([fc.shuffledSubarray(messy, { minLength: messy.length }), fc.boolean()], {
    numRuns: 20,
  })('the order of arrival does not matter, nor does a repeat', async (pairs, twice) => {
    const expected = await exportedOf({ pairs: messy }, strict);
    const found = await exportedOf({ pairs: twice ? [...pairs, ...pairs] : pairs }, strict);
    expect(found.texts['rejected.jsonl']).toBe(expected.texts['rejected.jsonl']);
    expect(found.texts['trl/preference/train.jsonl']).toBe(
      expected.texts['trl/preference/train.jsonl'],
    );
    expect(found.manifest['rejected']).toEqual(expected.manifest['rejected']);
  });

  test('every pair that was read is written or has a reason, and one only', async () => {
    const { manifest, texts } = await exportedOf(await logOf({ pairs: messy }), strict);
    const { counts, rejected } = manifest as {
      readonly counts: { readonly preference: number };
      readonly rejected: Readonly<Record<string, number>>;
    };
    const left = Object.values(rejected).reduce((sum, count) => sum + count, 0);
    expect(counts.preference + left).toBe(messy.length);
    expect(texts['rejected.jsonl']!.trimEnd().split('\n')).toHaveLength(left);
  });
});

describe('constraints that code can check', () => {
  const pairs = [
    pair('a', {
      chosen: 'One, two.',
      constraints: [{ id: 'punctuation:no_comma', arguments: '{}' }],
    }),
    pair('b', { constraints: [{ id: 'punctuation:no_comma', arguments: '{}' }] }),
    pair('c', { chosen: 'One, two.', constraints: [{ id: 'made:up', arguments: '{}' }] }),
  ];

  test.each([
    [true, ['1/a/0: broken-constraint (punctuation:no_comma: 1 comma; none allowed)']],
    [false, []],
  ])('keep a chosen side that breaks one out: %s', async (constraints, expected) => {
    const { rejected } = await exportedOf({ pairs }, settingsWith({ ...allOff, constraints }));
    expect(rejected).toEqual(expected);
  });
});
