import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fromJson } from '../../infra/input/instruction.ts';
import { roleOf } from '../../infra/simulator/answer.ts';

const lines = readFileSync(new URL('../../examples/instructions.jsonl', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');
const instructions = lines.map((line) => fromJson(line));

const last = (index: number) => instructions[index]?.messages.at(-1)?.content ?? '';

/** What the names of arguments are in IFEval's own checkers (google-research, instruction_following_eval). */
const argumentsOf: Readonly<Record<string, readonly string[]>> = {
  'punctuation:no_comma': [],
  'length_constraints:number_words': ['relation', 'num_words'],
  'length_constraints:number_sentences': ['relation', 'num_sentences'],
  'length_constraints:number_paragraphs': ['num_paragraphs'],
  'keywords:existence': ['keywords'],
  'keywords:forbidden_words': ['forbidden_words'],
  'keywords:frequency': ['keyword', 'relation', 'frequency'],
  'detectable_format:number_bullet_lists': ['num_bullets'],
  'detectable_format:number_highlighted_sections': ['num_highlights'],
  'detectable_format:multiple_sections': ['section_spliter', 'num_sections'],
  'detectable_format:title': [],
  'detectable_format:json_format': [],
  'detectable_content:number_placeholders': ['num_placeholders'],
  'detectable_content:postscript': ['postscript_marker'],
  'startend:end_checker': ['end_phrase'],
  'startend:quotation': [],
  'change_case:english_lowercase': [],
  'change_case:english_capital': [],
  'combination:two_responses': [],
  'language:response_language': ['language'],
};

describe('the example instructions', () => {
  test('are many, each of its own, and of both forms', () => {
    expect(instructions.length).toBeGreaterThanOrEqual(48);
    expect(new Set(instructions.map(({ id }) => id)).size).toBe(instructions.length);
    expect(new Set(instructions.map((_, index) => last(index))).size).toBe(instructions.length);
    const roles = instructions.map(({ messages }) => messages.map(({ role }) => role).join(' '));
    expect(new Set(roles)).toEqual(
      new Set(['user', 'system user', 'user assistant user', 'system user assistant user']),
    );
  });

  test.each(instructions.map(({ id }, index) => [id, index] as const))('%s', (_id, index) => {
    const { constraints, extra } = instructions[index]!;
    expect(JSON.parse(extra)).toEqual({ topic: expect.stringMatching(/^[a-z]+$/) });
    expect(roleOf(instructions[index]!.messages)).toBe('sample');
    for (const constraint of constraints) {
      const given = JSON.parse(constraint.arguments) as Record<string, unknown>;
      expect(argumentsOf[constraint.id], constraint.id).toBeDefined();
      expect(Object.keys(given)).toEqual(argumentsOf[constraint.id]);
      // What is to appear, or not to, stands in the text, too.
      const words = ['keyword', 'end_phrase', 'postscript_marker'].map((name) => given[name]);
      for (const word of [words, given['keywords'], given['forbidden_words']].flat()) {
        if (typeof word === 'string') expect(last(index)).toContain(word);
      }
    }
  });
});
