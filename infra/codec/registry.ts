/**
 * The schema registry as a port. Adapters: SQLite (embedded) and a real registry (Kafka). Subjects are named by
 * topic (`<topic>-value`); ids belong to one registry. Every adapter passes `test/contract/registry.ts`.
 */
export interface SchemaRegistry {
  /**
   * Registers the text under the subject if it is new there; the same text always has the same id.
   *
   * @throws Error if it is no Avro schema, or the registry does not take it
   */
  register(subject: string, schema: string): Promise<number>;
  /** The id that `register` would give without registering anything; null if the text is new to the subject. */
  idOf(subject: string, schema: string): Promise<number | null>;
  /**
   * An id that was seen once is known for good, so that a registry that is down hurts nobody who knows the schema.
   *
   * @throws PermanentError with the code `unknown-schema` if this registry never gave out the id, or `decode` if what
   *   it stands for is no Avro; Unavailable, or StorageError, if it cannot be asked.
   */
  byId(id: number): Promise<string>;
  latest(subject: string): Promise<SchemaVersion | null>;
  byVersion(subject: string, version: number): Promise<SchemaVersion | null>;
  /** FULL_TRANSITIVE: every version can read, and be read by, every other. Empty means compatible. */
  incompatibilities(subject: string, schema: string): Promise<readonly string[]>;
}

export interface SchemaVersion {
  readonly id: number;
  /** From 1. */
  readonly version: number;
  readonly schema: string;
}
