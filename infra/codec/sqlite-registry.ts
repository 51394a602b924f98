import { PermanentError } from '../../processors/processor.ts';
import { openDatabase, transaction, type SqlRow } from '../sqlite.ts';
import { misfits, normalised, parseSchema } from './avro.ts';
import type { SchemaRegistry, SchemaVersion } from './registry.ts';

/** Raised whenever the tables change. */
const formatVersion = 1;

/** The registry of an embedded log: a small file beside it. */
export interface SqliteRegistry extends SchemaRegistry {
  close(): void;
}

/** @throws StorageError if the file is missing (read-only), damaged, locked, or from another version. */
export function openSqliteRegistry(options: {
  readonly file: string;
  /** Opens it beside a running writer: registering is then refused, unless the subject has the text already. */
  readonly readOnly?: boolean;
}): SqliteRegistry {
  const database = openDatabase({
    ...options,
    version: formatVersion,
    create: (created) => {
      created.exec(`
        CREATE TABLE schemas (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
        CREATE TABLE subjects (
          subject TEXT NOT NULL, version INTEGER NOT NULL, id INTEGER NOT NULL,
          PRIMARY KEY (subject, version), UNIQUE (subject, id)
        ) WITHOUT ROWID;
      `);
    },
  });
  const idOf = database.prepare('SELECT id FROM schemas WHERE text = ?');
  const textOf = database.prepare('SELECT text FROM schemas WHERE id = ?');
  const versionOf = database.prepare('SELECT version FROM subjects WHERE subject = ? AND id = ?');
  const versions = database.prepare(
    `SELECT subjects.id, subjects.version, schemas.text
     FROM subjects JOIN schemas USING (id) WHERE subject = ? ORDER BY version`,
  );

  const all = (subject: string): SchemaVersion[] => versions.all(subject).map(versionFrom);

  function knownAs(subject: string, text: string): number | null {
    const known = idOf.get(text);
    return known && versionOf.get(subject, Number(known[0])) ? Number(known[0]) : null;
  }

  function register(subject: string, schema: string): number {
    parseSchema(schema);
    const text = normalised(schema);
    const known = knownAs(subject, text);
    if (known !== null) return known;
    transaction(database, () => {
      database.prepare('INSERT OR IGNORE INTO schemas (text) VALUES (?)').run(text);
      database
        .prepare(
          `INSERT INTO subjects
           SELECT ?, (SELECT count(*) + 1 FROM subjects WHERE subject = ?), id
           FROM schemas WHERE text = ?`,
        )
        .run(subject, subject, text);
    });
    return Number(idOf.get(text)?.[0]);
  }

  // Async throughout, so that an error is a rejection, as it is from a registry far away.
  const later = async <Result>(work: () => Result): Promise<Result> => {
    await Promise.resolve();
    return work();
  };

  return {
    register: (subject, schema) => later(() => register(subject, schema)),
    idOf: (subject, schema) =>
      later(() => {
        parseSchema(schema);
        return knownAs(subject, normalised(schema));
      }),
    byId: (id) =>
      later(() => {
        const row = textOf.get(id);
        if (row) return String(row[0]);
        throw new PermanentError(
          'unknown-schema',
          `no schema has the id ${id} in ${database.file}`,
        );
      }),
    latest: (subject) => later(() => all(subject).at(-1) ?? null),
    byVersion: (subject, version) =>
      later(() => all(subject).find((found) => found.version === version) ?? null),
    incompatibilities: (subject, schema) =>
      later(() => {
        const type = parseSchema(schema);
        return all(subject).flatMap((before) => misfits(type, before));
      }),
    close: () => {
      database.close();
    },
  };
}

const versionFrom = ([id, version, text]: SqlRow): SchemaVersion => ({
  id: Number(id),
  version: Number(version),
  schema: String(text),
});
