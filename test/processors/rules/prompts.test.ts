import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  fill,
  instructionText,
  judgePrompt,
  refinePrompt,
} from '../../../processors/rules/prompts.ts';
import { settingsWith } from '../../support/script.ts';

const prompts = {
  judge: { template: 'I: {{instruction}} R: {{response}}', hash: 'j' },
  refine: { template: 'Better than {{response}}, [[start]]…[[end]]', hash: 'r' },
};

describe('a template is filled in one pass, so hostile text is inert', () => {
  test.each([
    ['{{a}} and {{b}}', 'x and y'],
    ['{{a}}{{a}}', 'xx'],
    ['{{c}} {a} {{ a }}', '{{c}} {a} {{ a }}'],
    ['{{toString}}', '{{toString}}'],
  ])('%s → %s', (template, filled) => {
    expect(fill(template, { a: 'x', b: 'y' })).toBe(filled);
  });

  test.each(['{{response}}', '{{instruction}}', '$&', '$1 $$ $`', '{{{{response}}}}'])(
    'a value %s stays what it is',
    (value) => {
      const [message] = judgePrompt(prompts, [{ role: 'user', content: value }], value);
      expect(message?.content).toBe(`I: ${value} R: ${value}`);
    },
  );

  test.prop([fc.string(), fc.string()])(
    'any value is there as it came',
    (instruction, response) => {
      const [message] = judgePrompt(prompts, [{ role: 'user', content: instruction }], response);
      expect(message?.content).toBe(`I: ${instruction} R: ${response}`);
    },
  );
});

describe('the judge is shown', () => {
  test('a single user message verbatim', () => {
    expect(instructionText([{ role: 'user', content: ' Say\nhi ' }])).toBe(' Say\nhi ');
  });

  test.each([
    ['a conversation', ['user', 'assistant', 'user'], '[user]\n0\n\n[assistant]\n1\n\n[user]\n2'],
    ['a system message', ['system', 'user'], '[system]\n0\n\n[user]\n1'],
    ['a single message of another role', ['system'], '[system]\n0'],
  ] as const)('%s as a transcript with roles', (_name, roles, text) => {
    const messages = roles.map((role, index) => ({ role, content: String(index) }));
    expect(instructionText(messages)).toBe(text);
  });
});

test('the refiner is shown the judgement as it was held, then the request', () => {
  expect(
    refinePrompt(prompts, [{ role: 'user', content: 'Say hi' }], {
      text: 'ho',
      critique: 'No hi.',
    }),
  ).toEqual([
    { role: 'user', content: 'I: Say hi R: ho' },
    { role: 'assistant', content: 'No hi.' },
    { role: 'user', content: 'Better than ho, [[start]]…[[end]]' },
  ]);
});

describe('the shipped prompts keep the marks of the protocol', () => {
  const { judge, refine } = settingsWith().prompts;
  test.each([
    [
      'judge',
      judge,
      ['{{instruction}}', '{{response}}', 'Final Judgement: Yes', 'Final Judgement: No'],
    ],
    ['refine', refine, ['[[start]]', '[[end]]']],
  ] as const)('%s', (_name, { template }, marks) => {
    for (const mark of marks) expect(template).toContain(mark);
  });
});
