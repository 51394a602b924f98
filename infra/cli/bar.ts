import pc from 'picocolors';
import type { ExportProgress } from '../exports/topic.ts';
import { systemTime } from '../time.ts';
import { clock, cut, short } from './progress.ts';

/** Shows how far an export is; `end` makes room for other output. */
export interface Bar {
  readonly show: (progress: ExportProgress) => void;
  readonly end: () => void;
}

/** One line that is redrawn on a terminal; elsewhere a line now and then, for exports that take long. */
export const exportBar = (stream: NodeJS.WriteStream = process.stderr): Bar =>
  stream.isTTY
    ? createBar((text) => stream.write(`\r\u001b[K${cut(text, (stream.columns || 80) - 1)}`), {
        everyMs: 100,
        now: () => systemTime.monotonic(),
      })
    : createBar((text) => (text === '' ? undefined : stream.write(`${text}\n`)), {
        everyMs: 10_000,
        now: () => systemTime.monotonic(),
      });

export interface BarOptions {
  /** A step that takes less is not shown, and no step more often. */
  readonly everyMs: number;
  readonly now: () => number;
}

/** @param write takes the line in place of the one before; an empty one takes it away */
export function createBar(write: (text: string) => void, { everyMs, now }: BarOptions): Bar {
  let step = '';
  let began = now();
  let last = began;
  let shown = false;
  return {
    show(progress) {
      const at = now();
      if (progress.step !== step) {
        step = progress.step;
        began = at;
      }
      if (at - last < everyMs || progress.of === 0) return;
      last = at;
      shown = true;
      write(barText(progress, (at - began) / 1000));
    },
    end() {
      if (shown) write('');
      shown = false;
    },
  };
}

const cells = 16;

/** What is done is never rounded up: 100 % is the end. */
export function barText({ step, done, of }: ExportProgress, seconds: number): string {
  const full = Math.floor((done / of) * cells);
  const rate = seconds > 0 ? done / seconds : 0;
  return [
    step.padEnd(24),
    `${pc.green('█'.repeat(full))}${pc.dim('░'.repeat(cells - full))}`,
    `${Math.floor((done / of) * 100)} %`.padStart(5),
    ` ${short(done)} of ${short(of)}`,
    ...(rate > 0 && done < of
      ? [`· ${short(Math.round(rate))}/s · ${clock((of - done) / rate)} left`]
      : []),
  ].join(' ');
}
