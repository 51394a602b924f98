import type { TestProject } from 'vitest/node';
import { environment, type Bin, type Trainer } from './environments.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The environment of each trainer. */
    readonly trainers: Readonly<Record<Trainer, Bin>>;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  const progress = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  // One after the other: they share what lies below them.
  const trl = await environment('trl', progress);
  const others = await environment('others', progress);
  const llamafactory = await environment('llamafactory', progress);
  project.provide('trainers', { trl, others, llamafactory });
}
