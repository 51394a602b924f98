import type { SchemaRegistry } from '../../infra/codec/registry.ts';
import { createSerde } from '../../infra/codec/serde.ts';
import { openSqliteRegistry } from '../../infra/codec/sqlite-registry.ts';
import type { Home } from '../../infra/home/home.ts';
import { plainReaders } from '../../infra/input/instruction.ts';
import type { Journal } from '../../infra/journal/journal.ts';
import { createMemoryJournal } from '../../infra/journal/memory.ts';
import { createMemoryLog } from '../../infra/log/memory.ts';
import { systemTime, type Time } from '../../infra/time.ts';
import { nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';

/** A home that lives in memory. */
export async function memoryHome(
  partitions = 1,
  pipeline = 'spar',
  change: {
    readonly registry?: SchemaRegistry;
    readonly journal?: Journal;
    /** What stamps its records. */
    readonly time?: Time;
  } = {},
): Promise<Home> {
  const own = openSqliteRegistry({ file: ':memory:' });
  const registry = change.registry ?? own;
  const serde = createSerde(registry, pipeline, plainReaders);
  await serde.prepare(Object.values(topics));
  const log = createMemoryLog({
    topics: Object.values(topics).map((topic) => ({ ...topic, name: nameOnLog(pipeline, topic) })),
    partitions,
    time: change.time ?? systemTime,
  });
  return {
    folder: 'memory',
    pipeline,
    log,
    serde,
    registry,
    journal: change.journal ?? createMemoryJournal(),
    isShared: false,
    async close() {
      await log.close();
      own.close();
    },
  };
}
