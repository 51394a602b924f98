/** The first signal stops in good order, the second at once; either way nothing is lost. */
export function onInterrupt(
  stop: AbortController,
  say: (message: string) => void,
): { readonly signal: NodeJS.Signals | null; end(): void } {
  let received: NodeJS.Signals | null = null;
  const listener = (signal: NodeJS.Signals) => {
    if (received) process.exit(signal === 'SIGINT' ? 130 : 143);
    received = signal;
    say(
      'Stopping: finishing what is under way. Again to stop at once; nothing is lost either way.',
    );
    stop.abort(new Error(`interrupted by ${signal}`));
  };
  process.on('SIGINT', listener).on('SIGTERM', listener);
  return {
    get signal() {
      return received;
    },
    end: () => {
      process.off('SIGINT', listener).off('SIGTERM', listener);
    },
  };
}
