import { messageOf, oneLine } from '../../text.ts';
import type { Time } from '../../time.ts';
import type { Away } from '../log.ts';

/** What waits for brokers that do not answer, each under a name of its own; it tries on for as long as it lasts. */
export interface Outages {
  /** Also while it lasts: the first time counts, and the last reason. */
  began(what: string, error: unknown): void;
  ended(what: string): void;
  /** The one that lasts longest; null for what is over soon, as where a leader moves. */
  away(): Away | null;
}

const soonMs = 5000;

export function createOutages(brokers: readonly string[], time: Time): Outages {
  const open = new Map<string, Away>();
  return {
    began(what, error) {
      const sinceMs = open.get(what)?.sinceMs ?? time.monotonic();
      const reason = oneLine(messageOf(error), 200);
      open.set(what, {
        sinceMs,
        error: `the brokers ${brokers.join(', ')} do not answer (${what}: ${reason})`,
      });
    },
    ended: (what) => void open.delete(what),
    away() {
      const [first] = [...open.values()].sort((one, other) => one.sinceMs - other.sinceMs);
      return first && time.monotonic() - first.sinceMs > soonMs ? first : null;
    },
  };
}
