import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { ByteWriter, ParquetWriter, type SchemaElement } from 'hyparquet-writer';
import type { FileHandle } from 'node:fs/promises';
import type { RowWriter } from './rows.ts';

/** The type of a column, or of what it holds. Nothing but a leaf may be null. */
export type Column =
  | { readonly leaf: keyof typeof leaves; readonly nullable: boolean }
  | { readonly list: Column }
  | { readonly fields: Columns };

export type Columns = Readonly<Record<string, Column>>;

const leaf = (name: keyof typeof leaves, nullable = false): Column => ({ leaf: name, nullable });

export const text = leaf('text');
export const textOrNull = leaf('text', true);
export const whole = leaf('whole');
/** May be larger than 2^31; at the top of a row only. */
export const long = leaf('long');
export const real = leaf('real');
export const realOrNull = leaf('real', true);
export const truth = leaf('truth');
export const listOf = (list: Column): Column => ({ list });
export const struct = (fields: Columns): Column => ({ fields });

export const turn = struct({ role: text, content: text });
export const turns = listOf(turn);

const leaves = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8' },
  whole: { type: 'INT32' },
  long: { type: 'INT64' },
  real: { type: 'DOUBLE' },
  truth: { type: 'BOOLEAN' },
} as const satisfies Record<string, Partial<SchemaElement>>;

/** The name of a file says what it is. */
export const isParquet = (path: string): boolean => path.endsWith('.parquet');

/** Rows that wait in memory to be written together, and how long their texts may be in all. */
const groupRowsMax = 1000;
const groupCharactersMax = 8 * 1024 * 1024;

/** Writes rows to a Parquet file, some at a time; the same rows make the same bytes. */
export class ParquetRows implements RowWriter {
  private readonly handle: FileHandle;
  private readonly columns: Columns;
  private readonly bytes = new ByteWriter();
  private readonly writer: ParquetWriter;
  private held: object[] = [];
  private characters = 0;

  constructor(handle: FileHandle, columns: Columns) {
    this.handle = handle;
    this.columns = columns;
    this.writer = new ParquetWriter({ writer: this.bytes, schema: schemaOf(columns) });
  }

  async add(row: object): Promise<void> {
    this.held.push(row);
    this.characters += charactersIn(row);
    if (this.held.length >= groupRowsMax || this.characters >= groupCharactersMax) {
      await this.writeGroup();
    }
  }

  async finish(): Promise<void> {
    await this.writeGroup();
    await this.writer.finish();
    await this.append();
  }

  private async writeGroup(): Promise<void> {
    const rows = this.held as readonly Readonly<Record<string, unknown>>[];
    this.held = [];
    this.characters = 0;
    if (rows.length === 0) return;
    await this.writer.write({
      columnData: Object.entries(this.columns).map(([name, column]) => ({
        name,
        data: rows.map((row) => stored(column, row[name])),
      })),
      rowGroupSize: rows.length,
    });
    await this.append();
  }

  /** Moves what was encoded to the file; the writer goes on counting where it is. */
  private async append(): Promise<void> {
    await this.handle.appendFile(this.bytes.getBytes());
    this.bytes.index = 0;
  }
}

/** Every row of a Parquet file, with longs as numbers; one group of them is in memory at a time. */
export async function* parquetRows(place: string): AsyncGenerator {
  const file = await asyncBufferFromFile(place);
  const metadata = await parquetMetadataAsync(file);
  let rowStart = 0;
  for (const { num_rows } of metadata.row_groups) {
    const rowEnd = rowStart + Number(num_rows);
    for (const row of await parquetReadObjects({ file, metadata, rowStart, rowEnd })) {
      yield withoutBigInts(row);
    }
    rowStart = rowEnd;
  }
}

const stored = (column: Column, value: unknown): unknown =>
  'leaf' in column && column.leaf === 'long' ? BigInt(value as number) : value;

function schemaOf(columns: Columns): SchemaElement[] {
  return [
    { name: 'schema', num_children: Object.keys(columns).length },
    ...Object.entries(columns).flatMap(([name, column]) => elementsOf(name, column)),
  ];
}

/** The three levels of a list are those that every reader knows. */
function elementsOf(name: string, column: Column): readonly SchemaElement[] {
  if ('leaf' in column) {
    const repetition_type = column.nullable ? 'OPTIONAL' : 'REQUIRED';
    return [{ name, repetition_type, ...leaves[column.leaf] }];
  }
  if ('list' in column) {
    return [
      { name, repetition_type: 'REQUIRED', num_children: 1, converted_type: 'LIST' },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      ...elementsOf('element', column.list),
    ];
  }
  const fields = Object.entries(column.fields);
  return [
    { name, repetition_type: 'REQUIRED', num_children: fields.length },
    ...fields.flatMap(([field, inner]) => elementsOf(field, inner)),
  ];
}

function charactersIn(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  return Object.values(value as Readonly<Record<string, unknown>>).reduce<number>(
    (sum, inner) => sum + charactersIn(inner),
    8,
  );
}

function withoutBigInts(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (Array.isArray(value)) return value.map(withoutBigInts);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, withoutBigInts(inner)]),
  );
}
