import pc from 'picocolors';
import type { RunProgress } from '../run/run.ts';
import { oneLine } from '../text.ts';

/** Everything that the status block shows, as one value. */
export interface Progress extends Omit<RunProgress, 'counters' | 'budget'> {
  readonly title: string;
  readonly calls: number;
  readonly tokens: number;
  readonly cost: number | null;
  readonly retries: number;
  /** How the run stands with its budget, in words; null without one. */
  readonly budget: string | null;
}

export interface ProgressView {
  show(progress: Progress): void;
  /** Takes the block away or leaves the last state, so that other output can follow. */
  end(): void;
}

/** Redrawn in place on a terminal. */
export function statusBlock(stream: NodeJS.WriteStream): ProgressView {
  let lines = 0;
  const clear = () => (lines > 0 ? `\u001b[${lines}A\u001b[0J` : '');
  const rates = createRates();
  return {
    show(progress) {
      const width = Math.max(40, stream.columns || 80);
      const text = block(progress, rates(progress)).map((line) => cut(line, width));
      stream.write(clear() + text.join('\n') + '\n');
      lines = text.length;
    },
    end() {
      lines = 0;
    },
  };
}

/** One line every `everyMs` for logs and pipes. */
export function statusLines(
  write: (line: string) => void,
  everyMs: number,
  now: () => number,
): ProgressView {
  let last = now();
  return {
    show(progress) {
      if (now() - last < everyMs) return;
      last = now();
      write(line(progress));
    },
    end() {
      // Nothing is held back.
    },
  };
}

function block(progress: Progress, rates: ReadonlyMap<string, number>): string[] {
  const { stages, down } = progress;
  const row = (cells: readonly string[]) =>
    `  ${(cells[0] ?? '').padEnd(10)}${cells
      .slice(1)
      .map((cell) => cell.padStart(11))
      .join('')}`;
  return [
    `${pc.bold(progress.title)}  ${pc.dim(clock(progress.seconds))}`,
    pc.dim(row(['stage', 'done', 'in flight', 'lag', 'records/s'])),
    ...stages.map(({ stage, done, inFlight, lag }) =>
      row([stage, String(done), String(inFlight), String(lag), (rates.get(stage) ?? 0).toFixed(1)]),
    ),
    `  ${figures(progress)}`,
    `  ${results(progress)}`,
    ...(down === null ? [] : [pc.yellow(`  waiting: ${oneLine(down, 200)}`)]),
  ];
}

const line = (progress: Progress): string =>
  [
    clock(progress.seconds),
    results(progress),
    figures(progress),
    ...(progress.down === null ? [] : [`waiting: ${oneLine(progress.down, 200)}`]),
  ].join(' · ');

const figures = ({ calls, tokens, cost, inFlight, limit, retries, budget }: Progress): string =>
  [
    `${calls} calls`,
    `${short(tokens)} tokens`,
    ...(cost === null ? [] : [`cost ${cost.toFixed(2)}`]),
    `${inFlight}/${limit} in flight`,
    ...(retries > 0 ? [`${retries} retries`] : []),
    ...(budget === null ? [] : [budget]),
  ].join(' · ');

function results(progress: Progress): string {
  const { tally, seconds, sourceEnded } = progress;
  const { outcomes, admitted, ended } = tally;
  const parts = [
    `${Math.floor(ended)}${sourceEnded ? ` of ${admitted}` : ''} instructions`,
    pc.green(`${outcomes.paired} pairs`),
    `${outcomes['all-passed']} all passed`,
    `${outcomes.exhausted} exhausted`,
    ...(outcomes.undecided > 0 ? [`${outcomes.undecided} undecided`] : []),
    ...(outcomes.failed > 0 ? [pc.red(`${outcomes.failed} failed`)] : []),
  ];
  // A guess from the share that has ended so far; before a few have, it would only mislead.
  if (sourceEnded && ended >= 5 && ended < admitted) {
    parts.push(`about ${clock((seconds / ended) * (admitted - ended))} left`);
  }
  return parts.join(' · ');
}

/** Records per second of each stage over the last five seconds or so. */
function createRates(): (progress: Progress) => ReadonlyMap<string, number> {
  const history: { seconds: number; done: ReadonlyMap<string, number> }[] = [];
  return ({ seconds, stages }) => {
    const done = new Map(stages.map((stage) => [stage.stage, stage.done]));
    history.push({ seconds, done });
    while (history.length > 2 && seconds - (history[0]?.seconds ?? 0) > 5) history.shift();
    const oldest = history[0];
    const span = seconds - (oldest?.seconds ?? 0);
    return new Map(
      [...done].map(([stage, count]) => [
        stage,
        span > 0 ? (count - (oldest?.done.get(stage) ?? 0)) / span : 0,
      ]),
    );
  };
}

export const clock = (seconds: number): string => {
  const whole = Math.max(0, Math.round(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return `${hours > 0 ? `${hours}:` : ''}${two(minutes)}:${two(whole % 60)}`;
};

export const short = (count: number): string =>
  count < 10_000
    ? String(count)
    : count < 1e6
      ? `${(count / 1e3).toFixed(0)}k`
      : count < 1e9
        ? `${(count / 1e6).toFixed(1)}M`
        : `${(count / 1e9).toFixed(1)}G`;

/** Cuts a line to the terminal's width without counting or breaking colour codes. */
export function cut(text: string, width: number): string {
  let visible = 0;
  // eslint-disable-next-line no-control-regex -- colour codes begin with the escape character
  return text.replaceAll(/\u001b\[[0-9;]*m|[^\u001b]/gu, (piece) =>
    piece.length > 1 && piece.startsWith('\u001b') ? piece : ++visible <= width ? piece : '',
  );
}
