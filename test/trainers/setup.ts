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
  // One after the other: both want the same PyTorch.
  const trl = await environment('trl', progress);
  project.provide('trainers', { trl, llamafactory: await environment('llamafactory', progress) });
}
