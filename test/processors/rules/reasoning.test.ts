import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { splitReasoning } from '../../../processors/rules/reasoning.ts';

test.each([
  ['no thoughts', 'answer', 'answer', null],
  ['thoughts before the answer', '<think>\nhm\n</think>\n\nanswer', '\n\nanswer', 'hm'],
  ['blanks before the thoughts', ' \n<think>hm</think>answer', 'answer', 'hm'],
  ['thoughts that never end are no answer', '<think>hm, answer', '', 'hm, answer'],
  ['thoughts that the prompt has opened', 'hm\n</think>answer', 'answer', 'hm'],
  [
    'thoughts that the prompt has opened, and more',
    'hm</think><think>so</think>answer',
    'answer',
    'hm\nso',
  ],
  ['two thoughts', '<think>a</think> <think>b</think>answer', 'answer', 'a\nb'],
  ['empty thoughts', '<think></think>answer', 'answer', null],
  ['a closing mark alone', '</think>answer', 'answer', null],
  [
    'marks inside the answer are the answer',
    'use <think>x</think> tags',
    'use <think>x</think> tags',
    null,
  ],
  ['nothing', '', '', null],
])('%s', (_name, content, text, reasoning) => {
  expect(splitReasoning(content)).toEqual({ text, reasoning });
});

test.prop([fc.string(), fc.string()])('no thought is ever in the answer', (thought, answer) => {
  fc.pre(!`${thought}${answer}`.includes('<'));
  expect(splitReasoning(`<think>${thought}</think>${answer}`).text).toBe(answer);
});
