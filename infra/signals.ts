/** Who waits for a signal: one listener stands for all of them. */
const waiting = new WeakMap<AbortSignal, Waiting>();

interface Waiting {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

/**
 * Calls back when the signal aborts, in the order in which they asked; returns the way out. Thousands of calls may wait
 * for one signal, and to take one listener of it back is to look through all. The last to leave takes it back: a signal
 * made of others is kept, with all that it knows, for as long as it has a listener and they may abort.
 */
export function onAborted(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = waiting.get(signal) ?? listenTo(signal);
  // The same function may be handed in twice, and each time has its own way out.
  const own = () => callback();
  callbacks.add(own);
  return () => {
    if (!callbacks.delete(own) || callbacks.size > 0) return;
    signal.removeEventListener('abort', listener);
    waiting.delete(signal);
  };
}

function listenTo(signal: AbortSignal): Waiting {
  const callbacks = new Set<() => void>();
  const listener = () => callbacks.forEach((one) => one());
  signal.addEventListener('abort', listener, { once: true });
  const made = { callbacks, listener };
  waiting.set(signal, made);
  return made;
}

/** Waits for it, but not longer than the signal lets: then it rejects with the signal's reason. */
export function unlessAborted<Result>(
  waited: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const leave = onAborted(signal, () => reject(signal.reason as Error));
    // If the signal is first, how it ends is nobody's business, and must not end the process.
    waited.then(resolve, reject);
    waited.then(leave, leave);
    if (signal.aborted) reject(signal.reason as Error);
  });
}
