import { expect, test } from 'vitest';
import { auditLines } from '../../infra/cli/account.ts';
import type { Agreement } from '../../processors/rules/audit.ts';

const of = (broken: number, falsePasses: number, kept: number, falseFails: number): Agreement => ({
  broken,
  falsePasses,
  kept,
  falseFails,
});

test('where votes and code disagree most comes first, with its rates', () => {
  const audit = { b: of(10, 1, 90, 0), a: of(3, 2, 2, 1), c: of(0, 0, 4, 1), d: of(4, 0, 0, 0) };
  expect(auditLines(audit)).toEqual([
    'a: votes agree with code on 40 % of 5; false passes 67 %, false fails 50 %',
    'c: votes agree with code on 75 % of 4; false passes –, false fails 25 %',
    'b: votes agree with code on 99 % of 100; false passes 10 %, false fails 0 %',
    'd: votes agree with code on 100 % of 4; false passes 0 %, false fails –',
  ]);
});

test('equals are in the order of their names, and there are five lines at most', () => {
  const audit = Object.fromEntries(Array.from('gfedcba', (id) => [id, of(1, 1, 0, 0)]));
  expect(auditLines(audit).map((line) => line.slice(0, 1))).toEqual(['a', 'b', 'c', 'd', 'e']);
});

test('nothing is said where code has nothing to say', () => {
  expect(auditLines({})).toEqual([]);
});
