import type { Log } from '../log/log.ts';
import { Window } from './window.ts';

/** Where a group stands on a topic. */
export interface Standing {
  /** Records that it has not finished: beyond its position, less those that it finished out of order. */
  readonly open: number;
  /** Another one whenever the group has moved. */
  readonly mark: string;
}

export async function standingOf(
  log: Pick<Log, 'ends' | 'committed'>,
  group: string,
  topic: string,
  /** Of these partitions alone; of all unless given. */
  partitions?: ReadonlySet<number>,
): Promise<Standing> {
  const committed = await log.committed(group, topic);
  // The ends last: what is finished by then is behind them.
  const ends = await log.ends(topic);
  const of = new Map(committed.map((one) => [one.partition, one]));
  const open = ends.reduce((sum, { partition, earliest, latest }) => {
    if (partitions?.has(partition) === false) return sum;
    const { position = 0, metadata = '' } = of.get(partition) ?? {};
    const window = new Window(position, metadata);
    const from = Math.max(earliest, window.low);
    return sum + Math.max(0, latest - from - window.doneFrom(from));
  }, 0);
  return { open, mark: JSON.stringify(committed) };
}

export const lagOf = async (
  log: Pick<Log, 'ends' | 'committed'>,
  group: string,
  topic: string,
): Promise<number> => (await standingOf(log, group, topic)).open;
