/** Something that the user can mend; its message says what happened, where, and what to do. Ends with exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** The run could not do its work; nothing is lost. Ends with exit code 1. */
export class RunError extends Error {
  override readonly name = 'RunError';
}

/**
 * Something that all records need, such as the log or the schema registry, is away: no record's fault, so none is
 * given up because of it. Whoever works on one waits and tries again.
 */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
}

/** Whatever was thrown, as an error. */
export const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error(String(thrown));

/**
 * The work is somebody else's from now on: nothing new begins for it here. What was already asked of a model is
 * answered, and journaled for whoever goes on.
 */
export class GivenUp extends Error {
  override readonly name = 'GivenUp';
}
