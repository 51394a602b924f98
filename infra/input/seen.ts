/** The ids that a reading has met, kept where they do not grow its memory. */
export interface Seen {
  /** Remembers the id unless it is known; what is known of it already, else null. */
  add(id: string, line: number, digest: string): Met | null;
  close(): void;
}

/** Where an id was first met, and the digest of what it named there. */
export interface Met {
  readonly line: number;
  readonly digest: string;
}
