import { fc, test } from '@fast-check/vitest';
import { expect } from 'vitest';
import { refinementIn } from '../../../processors/rules/refinement.ts';

test.each([
  ['stands between the marks, trimmed', 'I reflect. [[start]]\n better \n[[end]] Done.', 'better'],
  ['may lack its end', 'I reflect. [[start]] better', 'better'],
  ['ends at the first end', '[[start]]a[[end]]b[[end]]', 'a'],
  ['ends at a second start', '[[start]]a[[start]]b[[end]]', 'a'],
  ['starts at the first start, whatever ended before', '[[end]] x [[start]]a[[end]]', 'a'],
  ['may have several lines', '[[start]]a\n\nb[[end]]', 'a\n\nb'],
  ['is empty with nothing between the marks', '[[start]] \n [[end]] better', ''],
  ['is empty between two starts', '[[start]][[start]]a[[end]]', ''],
  ['is absent without a start', 'better [[end]]', null],
  ['is absent when the mark is misspelt', '[start]better[end] [[Start]]', null],
  ['is absent from nothing', '', null],
])('the refinement %s', (_name, answer, refinement) => {
  expect(refinementIn(answer)).toBe(refinement);
});

test.prop([fc.string(), fc.string()])('a text between marks comes back trimmed', (before, text) => {
  fc.pre(![before, text].some((part) => part.includes('[')));
  expect(refinementIn(`${before}[[start]]${text}[[end]]`)).toBe(text.trim());
});
