import type { Constraint } from '../constraint.ts';
import { holdsWord } from '../ifeval/forbidden-words.ts';
import { nameOf } from '../languages.ts';
import { firstLower, firstUpper, quoted, strip } from '../text.ts';
import { demandsOf, endOf, rangesOf, type Demands, type Range } from './demands.ts';

/** Constraints that no response can satisfy together; one of them if it cannot be satisfied at all. */
export interface Contradiction {
  readonly ids: readonly string[];
  readonly why: string;
}

interface One extends Demands {
  readonly id: string;
}

/**
 * What of an instruction's constraints contradicts itself, as far as rules can tell. They know what IFEval's checkers
 * do; whether a text is possible in a language, or good, they do not.
 *
 * @param constraints with their arguments as the checkers understand them
 */
export function contradictionsIn(
  constraints: readonly Required<Constraint>[],
): readonly Contradiction[] {
  const all = constraints.map(({ id, kwargs }) => ({ id, ...demandsOf(id, kwargs) }));
  return [
    ...all.flatMap(({ id, impossible }) =>
      impossible === undefined ? [] : [{ ids: [id], why: impossible }],
    ),
    ...rangesThatExclude(all),
    ...pairs(all).flatMap(([one, other]) =>
      [...rules, ...rules.map(turned)].flatMap((rule) => {
        const why = rule(one, other);
        return why === null ? [] : [{ ids: [one.id, other.id], why }];
      }),
    ),
  ];
}

const pairs = (all: readonly One[]): readonly (readonly [One, One])[] =>
  all.flatMap((one, index) => all.slice(index + 1).map((other) => [one, other] as const));

/** For each thing that is counted, the greatest least and the smallest most. */
function rangesThatExclude(all: readonly One[]): readonly Contradiction[] {
  const bounded = [
    ...new Set(
      all.flatMap(({ ranges = [] }) =>
        ranges.flatMap(({ of, most }) => (most === undefined ? [] : [of])),
      ),
    ),
  ];
  const entries = all.flatMap(({ id, ranges = [], holds = [] }) =>
    [...ranges, ...holds.flatMap((text) => rangesOf(text, bounded))].map((range) => ({
      id,
      range,
    })),
  );
  return bounded.flatMap((of) => {
    const here = entries.filter(({ range }) => range.of === of);
    const most = here.reduce<Entry | null>(
      (found, one) => ((one.range.most ?? Infinity) < mostOf(found) ? one : found),
      null,
    );
    const least = here.reduce<Entry | null>(
      (found, one) => ((one.range.least ?? -Infinity) > leastOf(found) ? one : found),
      null,
    );
    if (!most) return [];
    if (mostOf(most) < 0) return [{ ids: [most.id], why: `${most.range.as} cannot be` }];
    if (!least || leastOf(least) <= mostOf(most)) return [];
    const ids = [...new Set([least.id, most.id])];
    return [{ ids, why: `${least.range.as}, but ${most.range.as}` }];
  });
}

interface Entry {
  readonly id: string;
  readonly range: Range;
}

const mostOf = (entry: Entry | null): number => entry?.range.most ?? Infinity;
const leastOf = (entry: Entry | null): number => entry?.range.least ?? -Infinity;

type Rule = (one: One, other: One) => string | null;

const turned =
  (rule: Rule): Rule =>
  (one, other) =>
    rule(other, one);

/** Each looks at a pair from one side; the other side is asked, too. */
const rules: readonly Rule[] = [
  ({ letters: one }, { letters: other }) =>
    one === 'capital' && other === 'small' ? 'capital letters only, but small letters only' : null,
  ({ letters }, { holds = [] }) => {
    const isWrong = (text: string) =>
      (letters === 'capital' ? firstLower(text) : letters === 'small' ? firstUpper(text) : null) !==
      null;
    const wrong = holds.find(({ text, isExact }) => isExact && isWrong(text));
    return wrong && letters
      ? `${letters} letters only, but ${quoted(wrong.text)} letter by letter`
      : null;
  },
  ({ language: one }, { language: other }) =>
    // From one side only: of two languages one comes first.
    one !== undefined && other !== undefined && one < other
      ? `${nameOf(one)}, but ${nameOf(other)}`
      : null,
  ({ forbids = [] }, { holds = [] }) => {
    for (const { text } of holds) {
      const word = forbids.find((forbidden) => holdsWord(text, forbidden));
      if (word !== undefined) return `${quoted(text)} has to be there, but ${quoted(word)} may not`;
    }
    return null;
  },
  ({ starts: one }, { starts: other }) => {
    if (one === undefined || other === undefined || one >= other) return null;
    const [a, b] = [one.toLowerCase(), other.toLowerCase()];
    return a.startsWith(b) || b.startsWith(a)
      ? null
      : `begins with ${quoted(one)}, but with ${quoted(other)}`;
  },
  ({ ends: one }, { ends: other }) => {
    if (one === undefined || other === undefined || one >= other) return null;
    const [a, b] = [endOf(one), endOf(other)];
    return a.endsWith(b) || b.endsWith(a)
      ? null
      : `ends with ${quoted(one)}, but with ${quoted(other)}`;
  },
  ({ firstWord: one }, { firstWord: other }) => {
    const [word = '', otherWord = ''] = [one, other].map((first) => lower(first?.word ?? ''));
    return one?.paragraph === other?.paragraph && one && other && word < otherWord
      ? `paragraph ${one.paragraph} begins with ${quoted(one.word)}, but with ${quoted(other.word)}`
      : null;
  },
  ({ firstWord }, { starts }) =>
    firstWord?.paragraph === 1 &&
    starts !== undefined &&
    !lower(starts.replace(/^["']+/, '')).startsWith(lower(firstWord.word))
      ? `begins with ${quoted(starts)}, but with ${quoted(firstWord.word)}`
      : null,
  ({ shape }, { starts }) =>
    shape === 'quotation marks' && starts !== undefined && !starts.startsWith('"')
      ? `begins with a quotation mark, but with ${quoted(starts)}`
      : null,
  ({ shape }, { starts }) =>
    shape === 'JSON' && starts !== undefined && !/^(?:[[{"\d-]|true|false|null|```)/.test(starts)
      ? `all of it is JSON, but it begins with ${quoted(starts)}`
      : null,
  ({ shape: one }, { shape: other }) =>
    one === 'two responses' && other === 'paragraphs between dividers'
      ? 'the six asterisks between two responses are two dividers with an empty paragraph between them'
      : null,
];

const lower = (text: string): string => strip(text).toLowerCase();
