/** What a row must look like to the loader that will read it; null if it does. */
export type RowCheck = (row: unknown) => string | null;

/** Puts rows into a file in some format. */
export interface RowWriter {
  add(row: object): Promise<void>;
  /** Writes what is left. */
  finish(): Promise<void>;
}
