/**
 * Does time and memory per instruction stay flat? Streams instructions through the whole dataflow on the embedded
 * log, with a model in the same process that answers at once: one response, one vote, short texts.
 *
 *   node test/bench/growth.ts [--instructions 100000] [--marks 10000,100000] [--stdin]
 *
 * With --stdin the instructions are read from standard input instead of being made up.
 *
 * Prints JSON: at each mark the time of an instruction over the last tenth before it, and the memory in use; the ratios
 * of the last mark to the first; records per second of each stage; bytes on disk per instruction. A line on standard
 * error says every ten seconds how far it is. A machine that does something else meanwhile is seen in the figures: CPU
 * is given beside the time that passed.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openHome } from '../../infra/home/home.ts';
import { systemTime } from '../../infra/time.ts';
import type { RunProgress } from '../../infra/run/run.ts';
import { instantModel } from '../support/model.ts';
import { configOf, runWith, sourceOf } from '../run/support.ts';

const { values } = parseArgs({
  options: {
    instructions: { type: 'string', default: '100000' },
    marks: { type: 'string', default: '10000,100000' },
    stdin: { type: 'boolean', default: false },
  },
});
const count = Number(values.instructions);
const marks = values.marks.split(',').map(Number);

function* lines(): Generator<string> {
  for (let index = 0; index < count; index++) {
    yield JSON.stringify({ id: `i${index}`, prompt: `Write ${index} words about the sea.` });
  }
}

/** Heap in use after a collection is what is kept; without the flag it is what happens to be there. */
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

interface Sample {
  readonly instructions: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

interface Mark {
  readonly instructions: number;
  /** Over the last tenth of the instructions before the mark, or a little more. */
  readonly usPerInstruction: number;
  readonly cpuUsPerInstruction: number;
  readonly rssMb: number;
  readonly heapMb: number;
  readonly externalMb: number;
  readonly peakRssMb: number;
}

const samples: Sample[] = [{ instructions: 0, seconds: 0, cpuSeconds: 0 }];
const reached: Mark[] = [];

function markAt(now: Sample, peakRssMb: number): Mark {
  const from =
    samples.findLast(({ instructions }) => instructions <= 0.9 * now.instructions) ?? now;
  const each = (now.instructions - from.instructions) / 1e6;
  collect();
  const { rss, heapUsed, external } = process.memoryUsage();
  return {
    instructions: now.instructions,
    usPerInstruction: Math.round((now.seconds - from.seconds) / each),
    cpuUsPerInstruction: Math.round((now.cpuSeconds - from.cpuSeconds) / each),
    rssMb: Math.round(rss / 1e6),
    heapMb: Math.round(heapUsed / 1e6),
    externalMb: Math.round(external / 1e6),
    peakRssMb: Math.round(peakRssMb),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'spar-growth-'));
try {
  const home = await openHome({ folder, pipeline: 'spar', time: systemTime });
  let last: RunProgress | null = null;
  let [peak, saidAt] = [0, 0];
  const summary = await runWith(
    home,
    // The bench measures us, not its own book-keeping: calls are not kept.
    instantModel({ failRate: 0.4, refineRate: 0.4, keepCalls: false }),
    [],
    {
      source: values.stdin ? { name: 'standard input', chunks: process.stdin } : sourceOf(lines()),
      config: configOf({ sample: { responses: 1 }, judge: { votes: 1 } }),
      progressMs: 100,
      progress: (progress) => {
        last = progress;
        const { user, system } = process.cpuUsage();
        const now = {
          instructions: progress.tally.ended,
          seconds: progress.seconds,
          cpuSeconds: (user + system) / 1e6,
        };
        samples.push(now);
        peak = Math.max(peak, process.memoryUsage.rss() / 1e6);
        const mark = marks[reached.length];
        if (mark !== undefined && now.instructions >= mark) {
          reached.push(markAt(now, peak));
          // Samples before the next tenth are not needed any more, and would be memory that grows.
          samples.splice(0, samples.length - 1);
        }
        if (now.seconds < saidAt + 10) return;
        saidAt = now.seconds;
        process.stderr.write(
          `${Math.round(now.instructions)} of ${count} after ${Math.round(now.seconds)} s, ${Math.round(peak)} MB\n`,
        );
      },
    },
  );
  await home.close();
  const bytes = Object.fromEntries(
    readdirSync(folder).map((file) => [file, statSync(join(folder, file)).size]),
  );
  const total = Object.values(bytes).reduce((sum, size) => sum + size, 0);
  const stages = (last as RunProgress | null)?.stages ?? [];
  process.stdout.write(
    `${JSON.stringify(
      {
        bench: 'growth',
        instructions: summary.admitted,
        seconds: summary.seconds,
        instructionsPerSecond: Math.round(summary.admitted / summary.seconds),
        marks: reached,
        lastToFirst: {
          time: ratioOf('usPerInstruction'),
          cpu: ratioOf('cpuUsPerInstruction'),
          rss: ratioOf('rssMb'),
          heap: ratioOf('heapMb'),
        },
        recordsPerSecond: Object.fromEntries(
          stages.map(({ stage, done }) => [stage, Math.round(done / summary.seconds)]),
        ),
        outcomes: summary.outcomes,
        modelCalls: summary.modelCalls,
        diskBytesPerInstruction: Math.round(total / summary.admitted),
        diskBytes: bytes,
      },
      null,
      2,
    )}\n`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function ratioOf(name: keyof Mark): number {
  return Number(((reached.at(-1)?.[name] ?? NaN) / (reached[0]?.[name] ?? NaN)).toFixed(2));
}
