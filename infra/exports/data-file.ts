import { isUtf8 } from 'node:buffer';
import { createReadStream } from 'node:fs';
import { lines } from '../input/pieces.ts';
import { messageOf } from '../text.ts';
import { isParquet, parquetRows } from './parquet.ts';
import type { RowCheck } from './rows.ts';

/** What reading a data file to its end found. */
export interface DataFile {
  readonly rows: number;
  /** Null if there is none. */
  readonly first: unknown;
  readonly problems: readonly RowProblem[];
}

export interface RowProblem {
  /** The line of the file, or the number of the row in Parquet, from 1; null if it is the whole file's. */
  readonly line: number | null;
  readonly what: string;
}

/** Reads a file as its loader does, and says what that would drop, misread or stop at. */
export async function readData(place: string, check: RowCheck): Promise<DataFile> {
  const problems: RowProblem[] = [];
  let untold = 0;
  const tell = (problem: RowProblem) => {
    if (problems.length < problemsMax) problems.push(problem);
    else untold += 1;
  };
  let rows = 0;
  let first: unknown = null;
  let shape: Shape | null = null;
  try {
    for await (const { line, row, unreadable } of isParquet(place)
      ? numbered(parquetRows(place))
      : jsonLines(place)) {
      rows += 1;
      if (unreadable !== null) {
        tell({ line, what: unreadable });
        continue;
      }
      first ??= row;
      shape ??= shapeOf(row);
      const what = check(row) ?? halfCharacter(row) ?? otherShape(shape, shapeOf(row));
      if (what !== null) tell({ line, what });
    }
  } catch (error) {
    problems.push({ line: null, what: `it cannot be read: ${messageOf(error)}` });
  }
  if (untold > 0) problems.push({ line: null, what: `${untold} more rows have a problem` });
  return { rows, first, problems };
}

/** Problems that are told of one file. */
const problemsMax = 20;

interface ReadRow {
  readonly line: number;
  readonly row: unknown;
  readonly unreadable: string | null;
}

async function* numbered(rows: AsyncIterable<unknown>): AsyncGenerator<ReadRow> {
  let line = 0;
  for await (const row of rows) yield { line: (line += 1), row, unreadable: null };
}

async function* jsonLines(place: string): AsyncGenerator<ReadRow> {
  for await (const { line, bytes } of lines(createReadStream(place), Number.POSITIVE_INFINITY)) {
    yield { line, ...parsed(bytes ?? new Uint8Array()) };
  }
}

function parsed(bytes: Uint8Array): Omit<ReadRow, 'line'> {
  const unreadable = (what: string) => ({ row: null, unreadable: what });
  if (!isUtf8(bytes)) return unreadable('it is not UTF-8');
  const text = Buffer.from(bytes).toString();
  if (text.trim() === '') return unreadable('the line is empty');
  try {
    const row: unknown = JSON.parse(text);
    return typeof row === 'object' && row !== null && !Array.isArray(row)
      ? { row, unreadable: null }
      : unreadable('it is no JSON object');
  } catch {
    return unreadable('it is not JSON');
  }
}

/** The type of a value as a loader takes it from the first rows: text, or what is in a list or an object. */
type Shape = string | readonly [Shape | null] | Fields;

interface Fields {
  readonly [key: string]: Shape;
}

function shapeOf(value: unknown): Shape {
  if (value === null) return 'null';
  if (Array.isArray(value)) return [value.length === 0 ? null : shapeOf(value[0])];
  if (typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shapeOf(inner)]));
  }
  return typeof value;
}

/** One schema a file: a problem where a row has another type than the first one. Parquet's columns cannot differ. */
function otherShape(first: Shape, found: Shape, path = ''): string | null {
  if (Array.isArray(first) && Array.isArray(found)) {
    const [one, other] = [first[0] as Shape | null, found[0] as Shape | null];
    return one === null || other === null ? null : otherShape(one, other, `${path}[]`);
  }
  if (isFields(first) && isFields(found)) {
    for (const key of new Set([...Object.keys(first), ...Object.keys(found)])) {
      const at = path === '' ? key : `${path}.${key}`;
      const problem = otherShape(first[key] ?? 'nothing', found[key] ?? 'nothing', at);
      if (problem !== null) return problem;
    }
    return null;
  }
  const [one, other] = [nameOf(first), nameOf(found)];
  return one === other || one === 'null' || other === 'null'
    ? null
    : `${path} is ${other}, and ${one} in the first row: a file has one schema`;
}

const isFields = (shape: Shape): shape is Fields =>
  typeof shape === 'object' && !Array.isArray(shape);

const nameOf = (shape: Shape): string =>
  typeof shape === 'string' ? shape : Array.isArray(shape) ? 'a list' : 'an object';

/** Arrow refuses half of a surrogate pair, and with it the whole file. */
function halfCharacter(value: unknown): string | null {
  if (typeof value === 'string') {
    return value.isWellFormed() ? null : 'a text has half of a surrogate pair, which Arrow refuses';
  }
  if (typeof value !== 'object' || value === null) return null;
  for (const inner of Object.values(value as Readonly<Record<string, unknown>>)) {
    const problem = halfCharacter(inner);
    if (problem !== null) return problem;
  }
  return null;
}
