import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** kafkajs 2.2.4 sets timers for moments before 1970, about which Node 24 warns each time. */
const execArgv = ['--disable-warning=TimeoutNegativeWarning'];

/**
 * `unit` needs nothing but Node and is part of `npm run check`; `whole` starts real processes and runs the
 * product as a user would; `python` checks the written files with other people's readers, and `trainers` trains from
 * them, with about 5 GB of other people's software; `oracle` asks the benchmark whether our checkers are right; `kafka`
 * runs against a real broker and a real registry, and `chaos` against brokers of its own, which it kills. Those two need
 * Java and mvn.
 */
export default defineConfig({
  test: {
    // Of two cores vitest would use one, and most of what these tests do is wait for processes.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [
            ...['test/whole/**', 'test/python/**', 'test/trainers/**', 'test/oracle/**'],
            ...['test/kafka/**', 'test/chaos/**'],
            '**/node_modules/**',
          ],
          testTimeout: 20_000,
          // On CI the colour library would colour even what no terminal reads.
          env: { NO_COLOR: '1' },
        },
      },
      {
        test: {
          name: 'whole',
          include: ['test/whole/**/*.test.ts'],
          testTimeout: 150_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'python',
          include: ['test/python/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'trainers',
          include: ['test/trainers/**/*.test.ts'],
          // One training at a time: it uses all cores by itself.
          fileParallelism: false,
          globalSetup: ['test/trainers/setup.ts'],
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'oracle',
          include: ['test/oracle/**/*.test.ts'],
          // They share one Python environment, which each makes ready, and all cores.
          fileParallelism: false,
          testTimeout: 600_000,
          hookTimeout: 600_000,
        },
      },
      {
        test: {
          name: 'kafka',
          include: ['test/kafka/**/*.test.ts'],
          // One broker on two cores: files at the same time would only time each other out.
          fileParallelism: false,
          globalSetup: ['test/kafka/setup.ts'],
          execArgv,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          fileParallelism: false,
          execArgv,
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
