/** How an iteration stands with one of the things that a budget counts: tokens, money, or pairs. */
export interface Account {
  /** All of it so far, that of instructions which have not ended included. */
  readonly spent: number;
  /** Instructions that have ended. */
  readonly ended: number;
  /** Instructions that were begun and have not ended. */
  readonly open: number;
}

/**
 * What an instruction comes to, over all that have ended: the running mean, with one more at the guess.
 *
 * Those that end first are the cheap ones, without a tree. So everything that was spent is shared out among those that
 * have ended, also what was spent on the open ones: too much at first, and right as more have ended than are open.
 */
export const expected = ({ spent, ended }: Account, guess: number): number =>
  (guess + spent) / (1 + ended);

/** What the open ones are expected to come to, as if nothing had been spent on them yet. */
export const reserved = (account: Account, guess: number): number =>
  account.open * expected(account, guess);

/** How many instructions may begin beside those that are open, so that spent + reserved stays within the limit. */
export function roomIn(limit: number, account: Account, guess: number): number {
  const mean = expected(account, guess);
  const left = limit - account.spent;
  if (left <= 0) return 0;
  // Where nothing costs anything, there is room for all of them.
  return mean > 0 ? Math.max(0, left / mean - account.open) : Infinity;
}

/**
 * Pairs that an instruction is expected to bring. Those that end first are the ones without a pair, so each open one
 * is taken to bring one: too many at first, and right as more have ended than are open.
 */
const pairsEach = ({ spent, ended, open }: Account): number =>
  (1 + spent + open) / (1 + ended + open);

/** Pairs that are expected of the open ones. */
export const pairsExpected = (account: Account): number => account.open * pairsEach(account);

/** How many instructions may begin beside those that are open, until as many pairs as wanted are there or expected. */
export function roomUntil(target: number, account: Account): number {
  const { spent, ended, open } = account;
  const missing = target - spent;
  if (missing <= 0) return 0;
  // As many open ones as `pairsExpected` takes to be worth what is missing.
  const half = (missing - 1 - spent) / 2;
  const enough = half + Math.sqrt(half ** 2 + missing * (1 + ended));
  return Math.max(0, enough - open);
}
