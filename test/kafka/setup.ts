import type { TestProject } from 'vitest/node';
import { startBroker } from '../../infra/cluster/broker.ts';
import { startRegistry } from '../../infra/cluster/registry.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The broker that all tests of the project `kafka` share, `host:port`. */
    readonly brokers: string;
    /** The registry that they share, up to and including `/apis/ccompat/v7`. */
    readonly registryUrl: string;
  }
}

/** One broker and one registry for all files of `test/kafka`: each test takes names of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const progress = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  const broker = await startBroker({ progress });
  const registry = await startRegistry({ progress });
  project.provide('brokers', broker.brokers);
  project.provide('registryUrl', registry.url);
  return async () => {
    await Promise.all([broker.stop(), registry.stop()]);
  };
}
