/** Who waits for a signal: one listener stands for all of them. */
const waiting = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back when the signal aborts, in the order in which they asked; returns the way out. Thousands of calls may wait
 * for one signal, and to take one listener of it back is to look through all.
 */
export function onAborted(signal: AbortSignal, callback: () => void): () => void {
  const known = waiting.get(signal);
  const callbacks = known ?? new Set();
  if (!known) {
    waiting.set(signal, callbacks);
    signal.addEventListener('abort', () => callbacks.forEach((one) => one()), { once: true });
  }
  // The same function may be handed in twice, and each time has its own way out.
  const own = () => callback();
  callbacks.add(own);
  return () => callbacks.delete(own);
}

/** Waits for it, but not longer than the signal lets: then it rejects with the signal's reason. */
export function unlessAborted<Result>(
  waited: Promise<Result>,
  signal: AbortSignal,
): Promise<Result> {
  return new Promise((resolve, reject) => {
    const leave = onAborted(signal, () => reject(signal.reason as Error));
    // If the signal is first, how it ends is nobody's business, and must not end the process.
    waited.then(resolve, reject).finally(leave);
    if (signal.aborted) reject(signal.reason as Error);
  });
}
