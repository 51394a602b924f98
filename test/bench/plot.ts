/**
 * A plot of what `utilisation.ts` printed: busy slots over time, a row for each order and the reference's driver, a
 * column for each server, with a mark where the first pair can be used. An SVG for light and dark pages.
 *
 *   node test/bench/utilisation.ts --parts orders ... > utilisation.json
 *   node test/bench/plot.ts utilisation.json > docs/images/utilisation.svg
 */
import { readFileSync } from 'node:fs';

interface Result {
  readonly slots: number;
  readonly orders: {
    readonly series: {
      readonly secondsPerPoint: number;
      readonly busySlots: Readonly<Record<string, readonly number[]>>;
    };
  } & Readonly<Record<string, { readonly seconds: number } & Readonly<Record<string, unknown>>>>;
}

const [file = '/dev/stdin'] = process.argv.slice(2);
// What the other program printed.
const { results } = JSON.parse(readFileSync(file, 'utf8')) as { readonly results: Result[] };

const panel = { width: 380, height: 56, gap: 24, top: 44, left: 12, between: 36 };
const rows = Object.keys(results[0]?.orders.series.busySlots ?? {});
const width = panel.left + results.length * (panel.width + panel.between);
const height = panel.top + rows.length * (panel.height + panel.gap) + 24;
const place = (number: number): string => number.toFixed(1).replace(/\.0$/, '');

/** Round numbers of seconds, five of them at the most. */
function ticksUpTo(seconds: number): readonly number[] {
  const step = [50, 100, 200, 250, 500, 1000, 2000].find((one) => seconds / one <= 5) ?? 5000;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
}

function rowOf({ slots, orders }: Result, name: string, x: number, y: number): string {
  const { secondsPerPoint, busySlots } = orders.series;
  const busy = busySlots[name] ?? [];
  const until = secondsPerPoint * busy.length;
  const along = (seconds: number) => x + (seconds / until) * panel.width;
  const up = (count: number) => y + panel.height * (1 - count / slots);
  const steps = busy.flatMap((count, index) => [
    `${place(along(index * secondsPerPoint))},${place(up(count))}`,
    `${place(along((index + 1) * secondsPerPoint))},${place(up(count))}`,
  ]);
  const { seconds, firstPair, firstUsablePair } = orders[name] ?? { seconds: 0 };
  const first = Number(firstPair ?? firstUsablePair);
  const end = `${x + panel.width},${y + panel.height}`;
  return `
  <polygon class="${name === 'reference' ? 'reference' : 'ours'}" points="${x},${y + panel.height} ${steps.join(' ')} ${end}"/>
  <path class="axis" d="M${x} ${y}V${y + panel.height}H${x + panel.width}"/>
  <path class="first" d="M${place(along(first))} ${y - 4}V${y + panel.height}"/>
  <text x="${x}" y="${y - 7}">${name}: ${Math.round(seconds)} s, first pair at ${Math.round(first)} s</text>`;
}

function columnOf(result: Result, column: number): string {
  const x = panel.left + column * (panel.width + panel.between);
  const { secondsPerPoint, busySlots } = result.orders.series;
  const until = secondsPerPoint * (Object.values(busySlots)[0]?.length ?? 0);
  const bottom = panel.top + rows.length * (panel.height + panel.gap);
  const ticks = ticksUpTo(until).map((seconds) => {
    const at = place(x + (seconds / until) * panel.width);
    return `<text class="tick" x="${at}" y="${bottom - 8}">${seconds} s</text>`;
  });
  return [
    `<text class="title" x="${x}" y="16">${result.slots} slots: those that are busy, over time</text>`,
    ...rows.map((name, row) =>
      rowOf(result, name, x, panel.top + row * (panel.height + panel.gap)),
    ),
    ...ticks,
  ].join('\n  ');
}

process.stdout
  .write(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
  <title>Busy slots of a simulated model server over time, by the order of calls</title>
  <style>
    text { font: 12px system-ui, sans-serif; fill: #24292f; }
    .title { font-weight: 600; font-size: 13px; }
    .tick { font-size: 10px; text-anchor: middle; opacity: 0.75; }
    .axis { fill: none; stroke: #6e7781; stroke-width: 1; }
    .ours { fill: #2f81c7; opacity: 0.75; }
    .reference { fill: #bf6a1f; opacity: 0.75; }
    .first { stroke: #1a7f37; stroke-width: 2; stroke-dasharray: 3 2; }
    @media (prefers-color-scheme: dark) {
      text { fill: #d7dde3; }
      .axis { stroke: #8b949e; }
      .ours { fill: #58a6ff; }
      .reference { fill: #f0883e; }
      .first { stroke: #56d364; }
    }
  </style>
  ${results.map(columnOf).join('\n  ')}
</svg>
`);
