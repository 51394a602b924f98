import { asError, Unavailable } from '../../errors.ts';
import type { Time } from '../../time.ts';
import type { Watcher } from '../log.ts';

/** How often a watched topic is looked at. */
const watchMs = 200;

/** Tells whenever the size of a topic is another one, until the signal or until it cannot be asked for any more. */
export async function watchSize(
  sizeOf: () => Promise<number>,
  watcher: Watcher,
  time: Time,
  signal: AbortSignal,
): Promise<void> {
  try {
    // The first look tells, too: of what came since the watcher's own look nobody here knows.
    for (let seen = -1; ;) {
      const size = await sizeOf().catch((error: unknown) => {
        // Whoever watches waits for more; that the brokers are away for a while is no reason to stop.
        if (error instanceof Unavailable) return seen;
        throw error;
      });
      if (size !== seen && !signal.aborted) watcher.appended();
      seen = size;
      await time.sleep(watchMs, signal);
    }
  } catch (error) {
    if (!signal.aborted) watcher.failed(asError(error));
  }
}
