import { fc, test } from '@fast-check/vitest';
import { describe, expect } from 'vitest';
import { plotOf } from '../../infra/evaluate/plot.ts';
import { wilson } from '../../processors/rules/accuracy.ts';
import type { Accuracies } from '../../processors/rules/constraints/score.ts';

const accuracy = { strict: wilson({ followed: 1, of: 4 }), loose: wilson({ followed: 2, of: 4 }) };
const accuracies = (...names: readonly string[]): Accuracies => ({
  prompt: accuracy,
  instruction: accuracy,
  families: Object.fromEntries(names.map((name) => [name, accuracy])),
});

/** What a reader of XML finds outside of tags, with its marks read. */
const textsIn = (svg: string): readonly string[] =>
  [...svg.matchAll(/<text [^<>]*>([^<>]*)<\/text>/g)].map(([, text = '']) =>
    text.replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code))),
  );

describe('the plot', () => {
  test('has a row for each figure, with the number of what was counted', () => {
    expect(textsIn(plotOf('IFEval · tiny', accuracies('a:b', 'c:d')))).toEqual([
      ...['IFEval · tiny', 'strict', 'loose', '0 %', '25 %', '50 %', '75 %', '100 %'],
      ...['prompts (4)', 'instructions (4)', 'a:b (4)', 'c:d (4)'],
    ]);
  });

  test('draws a bar as long as the share, and a whisker over the interval', () => {
    const svg = plotOf('', accuracies());
    const [, width] = /<rect x="330" y="78" width="([\d.]+)"/.exec(svg)!;
    expect(Number(width)).toBe(125);
  });

  test.prop([fc.string({ unit: 'binary', maxLength: 60 })])(
    'lets no text out of its place, whatever a model is called',
    (name) => {
      const svg = plotOf(`<script>"'&${name}`, accuracies(`]]></svg>${name}`));
      expect(svg).not.toMatch(/<script|\]\]><|[^\P{Cc}\n]|\p{Cs}|[\ufffe\uffff]/u);
      expect(svg.match(/</g)).toHaveLength(plotOf('', accuracies('a')).match(/</g)!.length);
      expect(textsIn(svg)[0]).toMatch(/^<script>"'&/);
    },
  );
});
