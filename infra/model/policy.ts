import {
  BrokenCircuitError,
  circuitBreaker,
  ConsecutiveBreaker,
  ExponentialBackoff,
  handleWhen,
} from 'cockatiel';
import type { Time } from '../time.ts';
import { CallError, type CallErrorKind } from './endpoint.ts';

export interface RetrySettings {
  /** Tries of one call before its record is tried anew, later. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Longest wait that a server may ask for with Retry-After. */
  readonly maxRetryAfterMs: number;
  /** Failures in a row, of any calls, after which an endpoint counts as down. */
  readonly downAfter: number;
  /** Waits between the single calls that find out whether it is back: from the first to the last. */
  readonly downFirstDelayMs: number;
  readonly downMaxDelayMs: number;
}

/** The only layer that retries a model call. One per endpoint, since what it learns is about the endpoint. */
export interface Policy {
  /**
   * Tries until an answer comes. While the endpoint is down, calls wait and use no tries up.
   *
   * @param attempt takes a slot, sends, and gives the slot back: no slot is held while waiting
   * @param jitter a number in [0, 1) that spreads retries; a function of the call's id
   */
  run<Answer>(
    attempt: () => Promise<Answer>,
    jitter: number,
    signal: AbortSignal,
    onRetry: (error: CallError) => void,
  ): Promise<Answer>;
  /** Since when (monotonic ms) and why the endpoint is down; null while it answers. */
  readonly down: { readonly sinceMs: number; readonly error: string } | null;
}

const showsDown = new Set<CallErrorKind>(['down', 'denied', 'server-error', 'cut']);
const retried = new Set<CallErrorKind>([
  'rate-limited',
  'server-error',
  'timeout',
  'cut',
  'unusable',
]);

export function retryPolicy(settings: RetrySettings, time: Time): Policy {
  const breaker = circuitBreaker(
    handleWhen((error) => error instanceof CallError && showsDown.has(error.kind)),
    {
      breaker: new ConsecutiveBreaker(settings.downAfter),
      halfOpenAfter: new ExponentialBackoff({
        initialDelay: settings.downFirstDelayMs,
        maxDelay: settings.downMaxDelayMs,
      }),
    },
  );
  let down: { sinceMs: number; error: string } | null = null;
  breaker.onBreak((reason) => {
    const error: unknown = 'error' in reason ? reason.error : null;
    down = {
      sinceMs: down?.sinceMs ?? time.monotonic(),
      error: error instanceof Error ? error.message : 'no answer',
    };
  });
  breaker.onReset(() => (down = null));

  return {
    get down() {
      return down;
    },
    async run(attempt, jitter, signal, onRetry) {
      for (let tries = 1; ;) {
        try {
          return await breaker.execute(attempt);
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof BrokenCircuitError) {
            await time.sleep(settings.downFirstDelayMs * (0.5 + jitter), signal);
            continue;
          }
          if (!(error instanceof CallError)) throw error;
          const waits = error.kind === 'down' || error.kind === 'denied';
          if (!waits && (!retried.has(error.kind) || tries >= settings.attempts)) throw error;
          onRetry(error);
          await time.sleep(delayMs(error, tries, jitter, settings), signal);
          if (!waits) tries++;
        }
      }
    },
  };
}

/** Doubles from the first delay up to the last, spread over half of it; a server's own wish goes first. */
function delayMs(error: CallError, tries: number, jitter: number, settings: RetrySettings): number {
  const backoffMs = Math.min(settings.maxDelayMs, settings.firstDelayMs * 2 ** (tries - 1));
  const spreadMs = backoffMs * (0.75 + jitter / 2);
  if (error.retryAfterMs === null) return spreadMs;
  // Everyone was told the same time: the spread keeps them from coming back together.
  const wishMs = Math.min(settings.maxRetryAfterMs, Math.max(0, error.retryAfterMs));
  return wishMs + spreadMs * jitter;
}
