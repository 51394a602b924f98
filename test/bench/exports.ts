/**
 * Does an export's memory stay flat, and how fast is it? Fills a home with made-up pairs, and at each mark exports
 * them twice, each time by a process of its own: without near-duplicate search and with it.
 *
 *   node test/bench/exports.ts [--marks 100000,1000000] [--words 60] [--near 0.8] [--benchmark FILE]
 *
 * One prompt in 20 nearly repeats an earlier one, one in 100 repeats it. Prints JSON: pairs read per second and peak
 * resident memory of each export, and from one mark to the next the bytes that each further pair cost.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { exportAll } from '../../infra/exports/export.ts';
import { exportBar } from '../../infra/cli/bar.ts';
import { defaultExportSettings } from '../../infra/exports/settings.ts';
import { openHome, viewHome, type Home } from '../../infra/home/home.ts';
import type { NewRecord } from '../../infra/log/log.ts';
import { systemTime } from '../../infra/time.ts';
import type { PreferencePair } from '../../schemas/records.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { pair, prompts } from '../exports/support.ts';

const { values } = parseArgs({
  options: {
    marks: { type: 'string', default: '100000,1000000' },
    words: { type: 'string', default: '60' },
    near: { type: 'string', default: '0.8' },
    benchmark: { type: 'string' },
    // Given to the process that exports.
    home: { type: 'string' },
    out: { type: 'string' },
    search: { type: 'string' },
  },
});

/** Pairs appended at a time. */
const batch = 1000;

interface Measured {
  readonly near: number | null;
  readonly pairs: number;
  readonly written: number;
  readonly rejected: Readonly<Record<string, number>>;
  readonly seconds: number;
  readonly pairsPerSecond: number;
  readonly peakRssMb: number;
}

async function bench(): Promise<object> {
  const folder = mkdtempSync(join(tmpdir(), 'spar-exports-'));
  const at = join(folder, 'home');
  try {
    const marks = values.marks.split(',').map(Number);
    const measured: Measured[] = [];
    let from = 0;
    for (const mark of marks) {
      await fill(at, from, mark);
      from = mark;
      for (const near of ['off', values.near]) {
        measured.push(await exportedApart(at, join(folder, 'out'), near));
        rmSync(join(folder, 'out'), { recursive: true, force: true });
      }
    }
    return { bench: 'exports', words: Number(values.words), measured, growth: growthOf(measured) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Bytes of peak memory that each pair between the first and the last mark cost. */
function growthOf(measured: readonly Measured[]): object {
  const growth = (near: boolean) => {
    const runs = measured.filter((one) => (one.near !== null) === near);
    const [first, last] = [runs[0], runs.at(-1)];
    if (!first || !last || first === last) return null;
    return Math.round(((last.peakRssMb - first.peakRssMb) * 1e6) / (last.pairs - first.pairs));
  };
  return { bytesPerPair: growth(false), bytesPerPairNear: growth(true) };
}

/** A process of its own, whose peak is that of the export alone. */
async function exportedApart(home: string, out: string, search: string): Promise<Measured> {
  const child = spawn(
    process.execPath,
    [
      ...[import.meta.filename, '--home', home, '--out', out, '--search', search],
      ...(values.benchmark === undefined ? [] : ['--benchmark', values.benchmark]),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  return JSON.parse(await text(child.stdout)) as Measured;
}

async function exportOnce(folder: string, out: string): Promise<Measured> {
  const view = await viewHome({ folder, pipeline: 'spar', time: systemTime });
  const near = values.search === 'off' ? null : Number(values.search);
  const bar = exportBar();
  const began = systemTime.monotonic();
  let pairs = 0;
  const { counts, rejectedByReason } = await exportAll({
    log: view.log,
    decode: (schema, bytes) => view.serde.decode(schema, bytes),
    pipeline: 'spar',
    iterations: [{ id: '1', seed: 7, models: { actor: 'a', judge: 'j', refiner: 'r' }, prompts }],
    seed: 7,
    complete: true,
    folder: out,
    settings: {
      ...defaultExportSettings,
      formats: ['trl'],
      gates: {
        ...defaultExportSettings.gates,
        duplicates: { exact: true, near },
        benchmarks: {
          ...defaultExportSettings.gates.benchmarks,
          files: values.benchmark === undefined ? [] : [values.benchmark],
        },
      },
    },
    progress: (progress) => {
      if (progress.step === 'reading preference-pairs') pairs = progress.of;
      bar.show(progress);
    },
  });
  bar.end();
  const seconds = (systemTime.monotonic() - began) / 1000;
  await view.close();
  return {
    near,
    pairs,
    written: counts.preference,
    rejected: Object.fromEntries(Object.entries(rejectedByReason).filter(([, count]) => count > 0)),
    seconds: Math.round(seconds * 10) / 10,
    pairsPerSecond: Math.round(pairs / seconds),
    // Node tells it in kilobytes.
    peakRssMb: Math.round(process.resourceUsage().maxRSS / 1000),
  };
}

async function fill(folder: string, from: number, to: number): Promise<void> {
  const home = await openHome({ folder, pipeline: 'spar', time: systemTime });
  const bar = exportBar();
  for (let first = from; first < to; first += batch) {
    const count = Math.min(batch, to - first);
    await home.log.append(
      Array.from({ length: count }, (_, at) => recordOf(home, madeUp(first + at))),
    );
    bar.show({ step: 'filling the home', done: first + count - from, of: to - from });
  }
  bar.end();
  await home.close();
}

const recordOf = ({ serde }: Home, row: PreferencePair): NewRecord => ({
  topic: nameOnLog('spar', topics.pairs),
  partition: 0,
  key: row.id,
  headers: { iteration: '1' },
  value: serde.encode(topics.pairs, row),
});

/** The same number makes the same pair. */
function madeUp(number: number): PreferencePair {
  // Of every hundred, five nearly repeat the prompt before them and one repeats it.
  const repeats = number % 20 === 1;
  const prompt = wordsOf(repeats ? number - 1 : number, 40);
  if (repeats && number % 100 !== 1) prompt[20] = `other${number}`;
  const chosen = wordsOf(number + 0.5, Number(values.words));
  const rejected = [...chosen];
  rejected.splice(Math.floor(rejected.length / 2), 3, 'this', 'fails');
  return pair(`instruction-${number}`, {
    messages: [{ role: 'user', content: `${prompt.join(' ')}.` }],
    chosen: `${chosen.join(' ')}.`,
    rejected: `${rejected.join(' ')}.`,
  });
}

function wordsOf(seed: number, count: number): string[] {
  let state = Math.imul(seed * 2 + 1, 0x9e3779b1);
  return Array.from({ length: count }, () => {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5;
    return `word${(state >>> 8) % 20_000}`;
  });
}

if (values.home !== undefined && values.out !== undefined) {
  process.stdout.write(JSON.stringify(await exportOnce(values.home, values.out)));
} else {
  process.stdout.write(`${JSON.stringify(await bench(), null, 2)}\n`);
}
