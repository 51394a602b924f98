import { expect, test } from 'vitest';
import { accuraciesOf, scoreOf } from '../../../../processors/rules/constraints/score.ts';
import { checker } from './support.ts';

const noComma = { id: 'punctuation:no_comma' };
const title = { id: 'detectable_format:title' };
const settings = { resamples: 200, seed: 1 };

const score = (constraints: readonly { readonly id: string }[], response: string) =>
  scoreOf(checker, constraints, response);

test('strict is what the response satisfies as it is, loose what it satisfies without its greeting', () => {
  expect(score([noComma, title], 'Sure, here it is:\n<<Joy>>\nA poem.')).toEqual([
    {
      id: 'punctuation:no_comma',
      strict: { satisfied: false, detail: '1 comma; none allowed' },
      loose: { satisfied: true, detail: 'without its first line: 0 commas; none allowed' },
    },
    {
      id: 'detectable_format:title',
      strict: { satisfied: true, detail: 'has a title' },
      loose: { satisfied: true, detail: 'has a title' },
    },
  ]);
});

test('a prompt is followed if all its constraints are satisfied; instructions are counted one by one', () => {
  const { prompt, instruction, families } = accuraciesOf(
    [
      score([noComma, title], '<<Joy>>'),
      score([noComma, title], 'Joy'),
      score([noComma], 'Sure, here:\nJoy'),
      score([title], ''),
    ],
    settings,
  );
  expect(prompt).toMatchObject({ strict: { followed: 1, of: 4 }, loose: { followed: 2, of: 4 } });
  expect(instruction).toMatchObject({
    strict: { followed: 3, of: 6, value: 0.5 },
    loose: { followed: 4, of: 6 },
  });
  expect(Object.keys(families)).toEqual(['detectable_format:title', 'punctuation:no_comma']);
  expect(families['punctuation:no_comma']).toMatchObject({
    strict: { followed: 2, of: 3 },
    loose: { followed: 3, of: 3 },
  });
});
