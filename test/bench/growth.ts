/**
 * Does time and memory per instruction stay flat? Streams instructions through the whole dataflow on the embedded
 * log, with a model in the same process that answers at once: one response, one vote, short texts.
 *
 *   node test/bench/growth.ts [--instructions 100000] [--marks 10000,100000] [--stdin]
 *
 * With --stdin the instructions are read from standard input instead of being made up.
 *
 * Prints JSON: at each mark the seconds, resident memory and instructions ended; records per second of each stage;
 * bytes on disk per instruction.
 */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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

const folder = mkdtempSync(join(tmpdir(), 'spar-growth-'));
try {
  const home = await openHome({ folder, pipeline: 'spar', time: systemTime });
  const seen: object[] = [];
  let last: RunProgress | null = null;
  let peak = 0;
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
        peak = Math.max(peak, process.memoryUsage.rss());
        const mark = marks[seen.length];
        if (mark === undefined || progress.tally.ended < mark) return;
        seen.push({
          instructions: progress.tally.ended,
          seconds: progress.seconds,
          rssMb: Math.round(process.memoryUsage.rss() / 1e6),
          heapMb: Math.round(process.memoryUsage().heapUsed / 1e6),
          externalMb: Math.round(process.memoryUsage().external / 1e6),
          peakRssMb: Math.round(peak / 1e6),
        });
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
        marks: seen,
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
