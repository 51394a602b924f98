import { createMemoryLog } from '../../infra/log/memory.ts';
import { systemTime } from '../../infra/time.ts';
import { contractTopics, logContract } from '../contract/log.ts';

logContract('the log in memory', (clock) => {
  const log = createMemoryLog({
    topics: contractTopics(),
    partitions: 2,
    time: { ...systemTime, wall: () => clock.now },
  });
  return Promise.resolve({ log, dispose: () => log.close() });
});
