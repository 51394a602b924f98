import type { Log } from '../log/log.ts';
import { Window } from './window.ts';

/** Records of a topic that a group has not finished: beyond its position, less those that it finished out of order. */
export async function lagOf(
  log: Pick<Log, 'ends' | 'committed'>,
  group: string,
  topic: string,
): Promise<number> {
  const [ends, committed] = await Promise.all([log.ends(topic), log.committed(group, topic)]);
  const of = new Map(committed.map((one) => [one.partition, one]));
  return ends.reduce((lag, { partition, earliest, latest }) => {
    const { position = 0, metadata = '' } = of.get(partition) ?? {};
    const window = new Window(position, metadata);
    const from = Math.max(earliest, window.low);
    return lag + Math.max(0, latest - from - window.doneFrom(from));
  }, 0);
}
