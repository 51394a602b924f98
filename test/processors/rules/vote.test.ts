import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import {
  count,
  isDecided,
  majority,
  parseVote,
  parseVoteStrictly,
  tally,
  valueOf,
  voteOf,
} from '../../../processors/rules/vote.ts';
import type { Vote } from '../../../schemas/records.ts';
import { votesOf } from '../../support/votes.ts';

const votes = (letters: string) => votesOf(letters, (index) => `critique ${index}`);

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
      judged_by: 'model',
      votes: votes(letters),
      checks: [],
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

describe('read strictly', () => {
  test.each<[string, string, Vote['vote']]>([
    ['a line of its own', 'All met.\nFinal Judgement: Yes', 'yes'],
    ['the other spelling', 'Final Judgment: No', 'no'],
    ['any case', 'FINAL JUDGEMENT: yes', 'yes'],
    ['markup around it', '## **Final Judgement:** **Yes**.', 'yes'],
    ['a quoted line', '> Final Judgement: "No"', 'no'],
    ['brackets', 'Final Judgement: [[Yes]]', 'yes'],
    ['a wide colon', 'Final Judgement：No', 'no'],
    ['no colon', 'Final Judgement Yes', 'yes'],
    ['the last such line decides', 'Final Judgement: Yes\nNo, wait.\nFinal Judgement: No', 'no'],
    ['text after it', 'Final Judgement: No\nThat is all.', 'no'],
    ['both verdicts', 'Final Judgement: Yes or No', 'invalid'],
    ['one that says more', 'Final Judgement: Yes, but barely', 'invalid'],
    ['a last one that says more', 'Final Judgement: Yes\nFinal Judgement: perhaps', 'invalid'],
    ['words that begin with a verdict', 'Final Judgement: None of them fail, Yes', 'invalid'],
    ['a word that begins with Yes', 'Final Judgement: Yesterday', 'invalid'],
    ['amid a line', 'So my Final Judgement: Yes', 'invalid'],
    ['on the next line', 'Final Judgement:\nYes', 'invalid'],
    ['nothing', 'Final Judgement:', 'invalid'],
    ['no mark', 'Yes', 'invalid'],
    ['a disguised mark', 'Final_Judgement: Yes', 'invalid'],
    ['empty', '', 'invalid'],
  ])('%s: %j is %s', (_name, critique, vote) => {
    expect(parseVoteStrictly(critique, 'stop')).toBe(vote);
  });

  test.each(['Final Judgement%x', 'Final Judgement: Yes%x'])(
    'blanks without end in %j hold nobody up',
    (line) => {
      const critique = line.replace('%', ' '.repeat(300_000));
      expect(parseVoteStrictly(critique, 'stop')).toBe('invalid');
    },
  );

  test('a vote that was cut short decides nothing, whatever it says', () => {
    expect(parseVoteStrictly('Final Judgement: Yes', 'length')).toBe('invalid');
  });

  test.prop([fc.string(), fc.constantFrom('Yes', 'No')])(
    'whatever comes before it, the last line decides',
    (before, verdict) => {
      const vote = parseVoteStrictly(`${before}\nFinal Judgement: ${verdict}`, 'stop');
      expect(vote).toBe(verdict === 'Yes' ? 'yes' : 'no');
    },
  );

  test('a line of a megabyte is read like any other', () => {
    const long = `Final Judgement: ${'* '.repeat(500_000)}`;
    expect(parseVoteStrictly(long, 'stop')).toBe('invalid');
    expect(parseVoteStrictly(`${' *'.repeat(500_000)}\n${long} Yes`, 'stop')).toBe('yes');
  });
});

describe('first votes', () => {
  /** Every way in which so many more votes can come out. */
  const endings = (left: number) =>
    Array.from({ length: left + 1 }, (_, yes) =>
      Array.from({ length: left - yes + 1 }, (_unused, no) => ({ yes, no })),
    ).flat();

  const small = fc.integer({ min: 0, max: 8 });
  const gates = fc.oneof(
    fc.constant(null),
    fc.constantFrom(0, 0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 0.8),
    fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  );

  test.prop([small, small, small, gates])(
    'decide exactly when no ending changes the majority or the side of the gate',
    (yes, no, left, gate) => {
      const decisionOf = (more: { readonly yes: number; readonly no: number }) => {
        const all = { yes: yes + more.yes, no: no + more.no };
        const value = valueOf(all);
        return [majority(all), gate === null || value === null ? null : value > gate].join();
      };
      const decisions = new Set(endings(left).map(decisionOf));
      const isCertain = decisions.size === 1 && majority({ yes, no }) !== 'tie';
      // What is tied with none left is decided too, but that is nobody's question: all votes are cast then.
      if (left > 0) expect(isDecided({ yes, no }, left, gate)).toBe(isCertain);
    },
  );

  test.each([
    ['three that agree, of five', 3, 0, 2, 0.5, true],
    ['two of three, of five', 2, 1, 2, 0.5, false],
    ['three that agree, of seven', 3, 0, 4, 0.5, false],
    ['two that agree and one nobody can read, of five', 2, 0, 2, 0.5, false],
    ['three that agree, under a stricter gate', 3, 0, 2, 0.7, false],
    ['three that refuse, under a stricter gate', 0, 3, 2, 0.7, true],
  ])('%s', (_name, yes, no, left, gate, decided) => {
    expect(isDecided({ yes, no }, left, gate)).toBe(decided);
  });
});
