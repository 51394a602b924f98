import type { Time } from '../time.ts';
import { Breaker, type Answers, type BreakerSettings, type Down } from './breaker.ts';
import { CallError, type CallErrorKind } from './endpoint.ts';

export interface RetrySettings extends BreakerSettings {
  /** Tries of one call before its record is tried anew, later. */
  readonly attempts: number;
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
}

/** The only layer that retries a model call. One per endpoint, since what it learns is about the endpoint. */
export interface Policy {
  /**
   * Tries until an answer comes. While the endpoint is down, calls wait and use no tries up; and no call is given up
   * unless the endpoint has shown, since the call's first failure, that it is there.
   *
   * @param attempt takes a slot, calls `go`, sends, and gives the slot back: no slot is held while waiting. `go`
   *   throws if the endpoint went down while the attempt waited for its slot.
   * @param jitter a number in [0, 1) that spreads retries; a function of the call's id
   */
  run<Answer>(
    attempt: (go: () => void) => Promise<Answer>,
    jitter: number,
    signal: AbortSignal,
    onRetry: (error: CallError) => void,
  ): Promise<Answer>;
  /** Null while the endpoint answers. */
  readonly down: Down | null;
}

const final: readonly CallErrorKind[] = ['context', 'rejected'];
/** No request's fault: it waits for as long as the endpoint is so. */
const ofTheEndpoint: readonly CallErrorKind[] = ['down', 'denied'];

/** @param question something small to ask the endpoint, to learn whether it is there; throws a CallError */
export function retryPolicy(
  settings: RetrySettings,
  time: Time,
  question: (signal: AbortSignal) => Promise<unknown>,
): Policy {
  const breaker = new Breaker(settings, time, question);
  const go = () => {
    if (breaker.isOpen) throw new Held();
  };
  return {
    get down() {
      return breaker.down;
    },
    async run(attempt, jitter, signal, onRetry) {
      let before: Answers | null = null;
      for (let tries = 1; ;) {
        try {
          await breaker.pass(signal);
          const answer = await attempt(go);
          breaker.answered();
          return answer;
        } catch (error) {
          signal.throwIfAborted();
          if (error instanceof Held) continue;
          if (!(error instanceof CallError)) throw error;
          breaker.failed(error);
          if (final.includes(error.kind)) throw error;
          before ??= breaker.answers;
          const usesTry = !ofTheEndpoint.includes(error.kind) && !breaker.isOpen;
          const isLast = usesTry && tries >= settings.attempts;
          if (isLast && breaker.hasShown(error, before)) throw error;
          if (isLast) breaker.suspect(error);
          onRetry(error);
          await time.sleep(delayMs(error, tries, jitter, settings), signal);
          if (usesTry && !isLast) tries++;
        }
      }
    },
  };
}

/** Not sent: the endpoint went down while the call waited for its turn. */
class Held extends Error {}

/** Doubles from the first delay up to the last, spread over half of it; a server's own wish goes first. */
function delayMs(error: CallError, tries: number, jitter: number, settings: RetrySettings): number {
  const backoffMs = Math.min(settings.maxDelayMs, settings.firstDelayMs * 2 ** (tries - 1));
  const spreadMs = backoffMs * (0.75 + jitter / 2);
  if (error.retryAfterMs === null) return spreadMs;
  // Everyone was told the same time: the spread keeps them from coming back together.
  const wishMs = Math.min(settings.maxRetryAfterMs, Math.max(0, error.retryAfterMs));
  return wishMs + spreadMs * jitter;
}
