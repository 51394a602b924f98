import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  count,
  majority,
  parseVote,
  tally,
  valueOf,
  voteOf,
} from '../../../processors/rules/vote.ts';
import type { Vote } from '../../../schemas/records.ts';

const votes = (letters: string): readonly Vote[] =>
  Array.from(letters, (letter, index) => ({
    vote: ({ y: 'yes', n: 'no' } as const)[letter] ?? 'invalid',
    critique: `critique ${index}`,
    reasoning: null,
    finish_reason: 'stop',
  }));

describe('a vote is the first Yes or No between the first and the second "Final Judgement"', () => {
  test.each([
    ['the usual yes', 'All is met. Final Judgement: Yes', 'yes'],
    ['the usual no', 'Too long. Final Judgement: No', 'no'],
    ['in bold', '**Final Judgement**: **Yes**', 'yes'],
    ['on the next line', 'Final Judgement\n\nNo', 'no'],
    ['"None" holds a No', 'Final Judgement: None of them fail, Yes', 'no'],
    ['"Not" holds a No', 'Final Judgement: Not Yes', 'no'],
    ['"Yesterday" holds a Yes', 'Final Judgement: Yesterday, No', 'yes'],
    ['what stands before the mark does not count', 'No. No. Final Judgement: Yes', 'yes'],
    [
      'what stands after the second mark does not count',
      'Final Judgement: Final Judgement: Yes',
      'invalid',
    ],
    ['the first judgement counts', 'Final Judgement: No ... Final Judgement: Yes', 'no'],
    ['lower case is unreadable', 'Final Judgement: yes', 'invalid'],
    ['upper case is unreadable', 'Final Judgement: NO', 'invalid'],
    ['a mark in lower case is none', 'final judgement: Yes', 'invalid'],
    ['the other spelling is none', 'Final Judgment: Yes', 'invalid'],
    ['without a verdict', 'Final Judgement: perhaps', 'invalid'],
    ['without a mark', 'Yes', 'invalid'],
    ['nothing', '', 'invalid'],
  ] as const)('%s', (_name, critique, vote) => {
    expect(parseVote(critique)).toBe(vote);
  });

  test.prop([fc.string()])('whatever a model says is one of three', (critique) => {
    expect(['yes', 'no', 'invalid']).toContain(parseVote(critique));
  });

  test('and thoughts are kept beside it', () => {
    expect(
      voteOf(
        {
          text: 'Final Judgement: No',
          reasoning: 'Final Judgement: Yes',
          finish_reason: 'length',
        },
        'faithful',
      ),
    ).toEqual({
      vote: 'no',
      critique: 'Final Judgement: No',
      reasoning: 'Final Judgement: Yes',
      finish_reason: 'length',
    });
  });
});

describe('the majority of the readable votes', () => {
  test.each([
    ['all pass', 'yyyyy', 'pass', 1, 'critique 0'],
    ['three of five pass', 'nynyy', 'pass', 3 / 5, 'critique 1'],
    ['three of five fail', 'ynynn', 'fail', 2 / 5, 'critique 1'],
    ['an unreadable vote does not count', 'ynn??', 'fail', 1 / 3, 'critique 1'],
    ['one readable vote is enough', '???y?', 'pass', 1, 'critique 3'],
    ['as many for as against is a tie', 'ynyn?', 'tie', null, null],
    ['none readable is a tie, too', '?????', 'tie', null, null],
  ] as const)('%s', (_name, letters, verdict, value, critique) => {
    expect(tally(3, votes(letters))).toEqual({
      index: 3,
      verdict,
      critique,
      votes: votes(letters),
    });
    expect(valueOf(count(votes(letters)))).toBe(value);
  });

  const ballot = fc.array(fc.constantFrom<string>('y', 'n', '?'), { maxLength: 9 });

  test.prop([
    ballot.chain((cast) =>
      fc.tuple(fc.constant(cast), fc.shuffledSubarray(cast, { minLength: cast.length })),
    ),
  ])('does not depend on the order of votes', ([cast, shuffled]) => {
    expect(tally(0, votes(shuffled.join(''))).verdict).toBe(tally(0, votes(cast.join(''))).verdict);
  });

  test.prop([ballot])('keeps the first critique that agrees with it', (cast) => {
    const { verdict, critique } = tally(0, votes(cast.join('')));
    const side = ({ pass: 'y', fail: 'n', tie: null } as const)[verdict];
    expect(critique).toBe(side === null ? null : `critique ${cast.indexOf(side)}`);
  });

  test.prop([fc.nat(9), fc.nat(9)])('agrees with the value', (yes, no) => {
    const value = valueOf({ yes, no });
    const verdict = value === null ? 'tie' : value > 0.5 ? 'pass' : 'fail';
    expect(majority({ yes, no })).toBe(verdict);
  });
});
