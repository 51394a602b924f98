/** One line of the input, or one element of its JSON array. */
export interface Piece {
  /** The line on which it begins, from 1. */
  readonly line: number;
  /** Length in bytes; also of a piece that is not kept. */
  readonly length: number;
  /** Null if it is longer than the limit; such a piece is never held in memory. */
  readonly bytes: Uint8Array | null;
}

/** Where a JSON array is broken in a way that no element shows. */
export interface Break {
  readonly line: number;
  readonly broken: 'not-closed' | 'after-the-end' | 'empty-element';
}

const newline = 0x0a;
const carriageReturn = 0x0d;
const quote = 0x22;
const comma = 0x2c;
const openBracket = 0x5b;
const backslash = 0x5c;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

export const isBlank = (byte: number): boolean =>
  byte === 0x20 || byte === 0x09 || byte === newline || byte === carriageReturn;

/** Splits bytes into lines, without their ends (`\n` or `\r\n`); the last one may lack its end. */
export async function* lines(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Piece> {
  const held = new Held(maxBytes);
  let line = 1;
  for await (const chunk of chunks) {
    let from = 0;
    for (let at = chunk.indexOf(newline); at !== -1; at = chunk.indexOf(newline, from)) {
      held.add(chunk.subarray(from, at));
      yield withoutCarriageReturn(held.take(line));
      line += 1;
      from = at + 1;
    }
    held.add(chunk.subarray(from));
  }
  if (held.length > 0) yield withoutCarriageReturn(held.take(line));
}

function withoutCarriageReturn(piece: Piece): Piece {
  if (piece.bytes?.at(-1) !== carriageReturn) return piece;
  return { ...piece, length: piece.length - 1, bytes: piece.bytes.subarray(0, -1) };
}

/**
 * Splits the bytes of a JSON array into its top-level elements without building the array. It only counts brackets
 * and quotes: whether an element is JSON is for JSON's own parser to say.
 *
 * A line end within a string is never JSON; the string is taken to end there, so that one missing quote does not
 * swallow the elements after it.
 */
export async function* elements(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Piece | Break> {
  const held = new Held(maxBytes);
  // The compiler loses track of the assignments within two loops, so it is told the type again.
  let state = 'before' as 'before' | 'between' | 'within' | 'after';
  let line = 1;
  let startLine = 1;
  let depth = 0;
  let inString = false;
  let escaped = false;
  let expectsElement = false;

  for await (const chunk of chunks) {
    let from = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (byte === newline) line += 1;
      if (state === 'within') {
        if (inString) {
          if (escaped) escaped = false;
          else if (byte === backslash) escaped = true;
          else if (byte === quote) inString = false;
          if (byte === newline) inString = escaped = false;
          continue;
        }
        const ends = depth === 0 && (byte === comma || byte === closeBracket);
        if (!ends) {
          if (byte === quote) inString = true;
          else if (byte === openBrace || byte === openBracket) depth += 1;
          else if (byte === closeBrace || byte === closeBracket) depth = Math.max(0, depth - 1);
          continue;
        }
        held.add(chunk.subarray(from, at));
        yield held.take(startLine);
        state = byte === comma ? 'between' : 'after';
        expectsElement = byte === comma;
        continue;
      }
      if (isBlank(byte)) continue;
      if (state === 'before') {
        // Whoever forced the format may have no array here: the whole is then one broken element.
        if (byte === openBracket) {
          state = 'between';
          continue;
        }
      } else if (state === 'after') {
        yield { line, broken: 'after-the-end' };
        return;
      } else if (byte === comma || byte === closeBracket) {
        if (byte === comma || expectsElement) yield { line, broken: 'empty-element' };
        expectsElement = byte === comma;
        if (byte === closeBracket) state = 'after';
        continue;
      }
      state = 'within';
      startLine = line;
      depth = byte === openBrace || byte === openBracket ? 1 : 0;
      inString = byte === quote;
      escaped = false;
      from = at;
    }
    if (state === 'within') held.add(chunk.subarray(from));
  }
  if (state === 'within') {
    yield held.take(startLine);
    yield { line, broken: 'not-closed' };
  } else if (state === 'between') {
    yield { line, broken: 'not-closed' };
  }
}

/** The bytes of the piece under way, copied out of the chunks only when they span several. */
class Held {
  length = 0;
  private readonly maxBytes: number;
  private parts: Uint8Array[] = [];

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  add(part: Uint8Array): void {
    if (part.length === 0) return;
    this.length += part.length;
    if (this.length > this.maxBytes) this.parts = [];
    else this.parts.push(part);
  }

  take(line: number): Piece {
    const { length, parts, maxBytes } = this;
    this.length = 0;
    this.parts = [];
    if (length > maxBytes) return { line, length, bytes: null };
    const [only] = parts;
    return { line, length, bytes: parts.length === 1 && only ? only : Buffer.concat(parts) };
  }
}
