import { describe, expect, test } from 'vitest';
import type { Message } from '../../../schemas/records.ts';
import { pair, refinement, verdicts } from '../support.ts';
import { allOff, exportedOf, fileWith, settingsWith } from './support.ts';

const user = (content: string): readonly Message[] => [{ role: 'user', content }];

const leaked =
  'Write a short blog post about a trip to Japan using fewer than three hundred words, and do not use any commas.';
const boilerplate = 'Your entire response should be in English, and all lowercase letters.';

/** In IFEval's form. */
const ifeval = [
  { key: 1000, prompt: leaked, instruction_id_list: ['punctuation:no_comma'], kwargs: [{}] },
  { key: 1001, prompt: `Name three rivers of Asia and say where they end. ${boilerplate}` },
  { key: 1002, prompt: 'Tell a joke.' },
]
  .map((line) => JSON.stringify(line))
  .join('\n');

const found = async (
  prompt: string,
  file: { readonly name: string; readonly text: string } = { name: 'ifeval.jsonl', text: ifeval },
) => {
  const files = [await fileWith(file.name, file.text)];
  const { rejected } = await exportedOf(
    { pairs: [pair('a', { messages: user(prompt) })] },
    settingsWith({ ...allOff, benchmarks: { files, words: 8, overlap: 0.5 } }),
  );
  return rejected[0]?.replace('1/a/0: ', '') ?? null;
};

describe('a prompt of a benchmark is found', () => {
  test.each<[string, string, string | null]>([
    ['as it is', leaked, 'benchmark (ifeval/1000 1.00)'],
    [
      'in other letters and marks',
      leaked.toUpperCase().replaceAll('.', '!'),
      'benchmark (ifeval/1000 1.00)',
    ],
    ['within more text', `Be nice. ${leaked} Thank you!`, 'benchmark (ifeval/1000 1.00)'],
    [
      'with one word changed at its end',
      leaked.replace('commas', 'dots'),
      'benchmark (ifeval/1000 0.93)',
    ],
    ['whole, if it is shorter than a run', 'Please: tell a joke!', 'benchmark (ifeval/1002 1.00)'],
    ['but not a part of a short one', 'Tell a story.', null],
    ['but not a sentence that many prompts share', `Describe a tree. ${boilerplate}`, null],
    ['but not its topic', 'Write about a trip to Japan without commas.', null],
  ])('%s', async (_name, prompt, expected) => {
    expect(await found(prompt)).toBe(expected);
  });

  test.each([
    ['plain text', 'bench.txt', `other\n${leaked}\n`, /^benchmark \(bench\/[0-9a-f]+ 1\.00\)$/],
    [
      'a JSON array',
      'b.json',
      JSON.stringify([{ id: 'x', prompt: leaked }]),
      'benchmark (b/x 1.00)',
    ],
    [
      'conversations',
      'c.jsonl',
      JSON.stringify({ id: 'y', messages: user(leaked) }),
      'benchmark (c/y 1.00)',
    ],
  ])('in a file of %s', async (_name, name, text, expected) => {
    expect(await found(leaked, { name, text })).toMatch(expected);
  });
});

test('what was made from its instruction is left out, too', async () => {
  const files = [await fileWith('ifeval.jsonl', ifeval)];
  const messages = user(leaked);
  const { texts, manifest } = await exportedOf(
    {
      pairs: [pair('leak', { messages }), pair('b')],
      refinements: [{ ...refinement('leak'), messages }, refinement('b')],
      verdicts: [{ ...verdicts('leak'), messages }, verdicts('b')],
    },
    settingsWith({ ...allOff, benchmarks: { files, words: 8, overlap: 0.5 } }),
  );
  expect(manifest).toMatchObject({
    counts: { preference: 1, refiner_sft: 3 },
    rejected: { benchmark: 1 },
    rejected_rows: { refiner_sft: { benchmark: 2 } },
  });
  for (const [path, text] of Object.entries(texts)) {
    if (path.startsWith('trl') || path.startsWith('llamafactory'))
      expect(text).not.toContain('Japan');
  }
});

test.each([
  ['is missing', null, /nowhere\.jsonl/],
  ['has no prompts', '{"question": "?"}', /benchmark .*b\.jsonl:1: .*prompt/],
])('a file that %s stops the export', async (_name, text, message) => {
  const files = [text === null ? '/nowhere.jsonl' : await fileWith('b.jsonl', text)];
  const settings = settingsWith({ ...allOff, benchmarks: { files, words: 8, overlap: 0.5 } });
  await expect(exportedOf({ pairs: [pair('a')] }, settings)).rejects.toThrow(message);
});
