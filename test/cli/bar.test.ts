import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { barText, createBar } from '../../infra/cli/bar.ts';
import { exportAll } from '../../infra/exports/export.ts';
import type { ExportProgress } from '../../infra/exports/topic.ts';
import { logOf, request, runOf } from '../exports/support.ts';

const at = (done: number, of: number): ExportProgress => ({ step: 'reading', done, of });

describe('the line', () => {
  test.each([
    ['begins at nothing', at(0, 1000), 0, /reading +░{16} {3}0 % {2}0 of 1000$/],
    [
      'says the rate and what is left',
      at(250, 1000),
      10,
      /█{4}░{12} {2}25 % .* 25\/s · 00:30 left$/,
    ],
    ['is not full before the end', at(999, 1000), 10, /█{15}░ {2}99 % /],
    ['is full at the end', at(1000, 1000), 10, /█{16} 100 % {2}1000 of 1000$/],
  ])('%s', (_name, progress, seconds, expected) => {
    expect(barText(progress, seconds)).toMatch(expected);
  });
});

describe('the bar', () => {
  function bar() {
    let now = 0;
    const written: string[] = [];
    const { show, end } = createBar((text) => written.push(text), {
      everyMs: 100,
      now: () => now,
    });
    return {
      written,
      end,
      show: (ms: number, progress: ExportProgress) => {
        now = ms;
        show(progress);
      },
    };
  }

  test('is not drawn more often than asked, and not for what is over at once', () => {
    const { show, written } = bar();
    for (const ms of [10, 50, 110, 120, 250]) show(ms, at(ms, 1000));
    expect(written.map((text) => / (\d+) of/.exec(text)![1])).toEqual(['110', '250']);
  });

  test('is taken away at the end, if there was one', () => {
    const { show, end, written } = bar();
    end();
    expect(written).toEqual([]);
    show(200, at(1, 2));
    end();
    expect(written.at(-1)).toBe('');
  });

  test('counts the rate of a step from its own beginning', () => {
    const { show, written } = bar();
    show(10_000, { step: 'reading', done: 500, of: 1000 });
    show(20_000, { step: 'writing', done: 0, of: 1000 });
    show(21_000, { step: 'writing', done: 500, of: 1000 });
    expect(written.at(-1)).toMatch(/500\/s · 00:01 left$/);
  });

  test('has nothing to show of a topic that is empty', () => {
    const { show, written } = bar();
    show(1000, at(0, 0));
    expect(written).toEqual([]);
  });
});

test('of a real export, no step goes back, none exceeds its total, and each reaches it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'spar-bar-'));
  try {
    const names = Array.from({ length: 1700 }, (_, index) => `n${index}`);
    const log = await logOf(runOf(names), 3, (index) => index);
    const told: ExportProgress[] = [];
    await exportAll({ ...request(log, folder), progress: (progress) => told.push(progress) });
    const steps = Map.groupBy(told, ({ step }) => step);
    expect([...steps.keys()]).toEqual(
      expect.arrayContaining(['reading preference-pairs', 'comparing pairs', 'writing pairs']),
    );
    for (const [step, all] of steps) {
      for (const [index, { done, of }] of all.entries()) {
        expect(done, step).toBeGreaterThanOrEqual(all[index - 1]?.done ?? 0);
        expect(done, step).toBeLessThanOrEqual(of);
      }
      expect(all.at(-1)!.done, step).toBe(all.at(-1)!.of);
    }
    // More than the last one: something is seen on the way.
    expect(steps.get('reading preference-pairs')!.length).toBeGreaterThan(3);
  } finally {
    await rm(folder, { recursive: true });
  }
});
