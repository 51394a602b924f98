import type { Estimate } from '../../processors/rules/accuracy.ts';
import type { Accuracies, Accuracy } from '../../processors/rules/constraints/score.ts';
import { oneLine } from '../text.ts';

const width = 900;
const left = 330;
const right = 70;
const top = 76;
const rowHeight = 26;
const colours = { strict: '#30638e', loose: '#9fbfd8' } as const;

/**
 * The accuracies as bars with their intervals, in SVG that stands alone: the four figures, then a pair of bars for each
 * kind of constraint. All text is escaped, since names of models and files may be anything.
 */
export function plotOf(title: string, { prompt, instruction, families }: Accuracies): string {
  const rows: readonly (readonly [string, Accuracy])[] = [
    ['prompts', prompt],
    ['instructions', instruction],
    ...Object.entries(families),
  ];
  const height = top + rows.length * rowHeight + 40;
  const bottom = top + rows.length * rowHeight;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map(
    (share) =>
      `<line x1="${x(share)}" y1="${top - 6}" x2="${x(share)}" y2="${bottom}" stroke="#dddddd"/>` +
      text(x(share), bottom + 18, `${share * 100} %`, 'middle'),
  );
  const bars = rows.flatMap(([name, accuracy], index) => {
    const y = top + index * rowHeight;
    return [
      text(left - 10, y + 15, `${name} (${accuracy.strict.of})`, 'end', index < 2),
      bar(y + 2, accuracy.strict, colours.strict),
      bar(y + 12, accuracy.loose, colours.loose),
    ];
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    text(16, 28, title, 'start', true),
    ...legend(),
    ...ticks,
    ...bars,
    '</svg>',
    '',
  ].join('\n');
}

const x = (share: number): number => rounded(left + share * (width - left - right));

function bar(y: number, { value, low, high }: Estimate, colour: string): string {
  const middle = y + 5;
  const whisker = [
    `M${x(low)} ${middle - 3}v6`,
    `M${x(low)} ${middle}H${x(high)}`,
    `M${x(high)} ${middle - 3}v6`,
  ].join('');
  return (
    `<rect x="${left}" y="${y}" width="${rounded(x(value) - left)}" height="9" fill="${colour}"/>` +
    `<path d="${whisker}" stroke="#222222" fill="none"/>`
  );
}

const legend = (): readonly string[] =>
  Object.entries(colours).map(
    ([name, colour], index) =>
      `<rect x="${16 + index * 80}" y="44" width="12" height="12" fill="${colour}"/>` +
      text(34 + index * 80, 54, name, 'start'),
  );

const text = (
  x: number,
  y: number,
  content: string,
  anchor: 'start' | 'middle' | 'end',
  isBold = false,
): string =>
  `<text x="${x}" y="${y}" text-anchor="${anchor}"${isBold ? ' font-weight="bold"' : ''}>${escaped(content)}</text>`;

const rounded = (value: number): number => Math.round(value * 10) / 10;

/** As XML's text: one line without characters that XML does not have, and its own marks written out. */
const escaped = (content: string): string =>
  oneLine(content, 120)
    .replaceAll(/[\ufffe\uffff]/g, '')
    .replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
