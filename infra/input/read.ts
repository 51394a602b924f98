import type { Instruction } from '../../schemas/records.ts';
import { oneLine } from '../text.ts';
import { contentDigest } from './identity.ts';
import { fromJson, fromText, Refused } from './instruction.ts';
import type { Parsed, Reason } from './instruction.ts';
import { elements, isBlank, lines } from './pieces.ts';
import type { Break, Piece } from './pieces.ts';
import type { Seen } from './seen.ts';
import type { Source } from './source.ts';

export interface InputOptions {
  /** `auto` (the default of the command line) looks at the first bytes that are not blank. */
  readonly format: 'auto' | Format;
  /** A longer line, or element of an array, is refused unread. */
  readonly maxLineBytes: number;
  /** Open for as long as the reading goes on; the caller closes it. */
  readonly seen: Seen;
}

/** JSON objects one a line, a JSON array of them, or plain text with one instruction a line. */
export type Format = 'jsonl' | 'json' | 'text';

export const defaultInputOptions = {
  format: 'auto',
  maxLineBytes: 1024 * 1024,
} as const satisfies Omit<InputOptions, 'seen'>;

/** What became of a line, in the order of the lines; blank lines are passed over. */
export type InputItem =
  | { readonly kind: 'instruction'; readonly line: number; readonly instruction: Instruction }
  | {
      readonly kind: 'duplicate';
      readonly line: number;
      readonly id: string;
      /** The line on which the same instruction came first. */
      readonly first: number;
    }
  | {
      readonly kind: 'rejected';
      readonly line: number;
      readonly reason: RejectedReason;
      /** One sentence that names the source, the line, what is wrong and what to do. */
      readonly message: string;
    };

type RejectedReason = Reason | 'not-utf8' | 'too-long' | 'same-id' | 'broken-array' | 'nothing';

/**
 * Reads instructions as they come: never more than a line is held, and nothing is read ahead of whoever asks.
 * A bad line costs only itself. `added_at` is 0, for the caller to set.
 */
export async function* readInstructions(
  source: Source,
  options: InputOptions,
): AsyncGenerator<InputItem> {
  const name = oneLine(source.name, 300);
  const rejected = (line: number, reason: RejectedReason, why: string): InputItem => ({
    kind: 'rejected',
    line,
    reason,
    message: `${name}:${line}: ${why}.`,
  });

  const { format, chunks } = await recognised(source.chunks, options);
  const pieces = (format === 'json' ? elements : lines)(chunks, options.maxLineBytes);
  let empty = true;

  for await (const piece of pieces) {
    const item = itemOf(piece);
    if (item) {
      empty = false;
      yield item;
    }
  }
  if (empty) {
    yield rejected(1, 'nothing', 'there is no instruction in it; write one a line');
  }

  function itemOf(piece: Piece | Break): InputItem | null {
    const { line } = piece;
    if ('broken' in piece) return rejected(line, 'broken-array', breaks[piece.broken]);
    const { bytes, length } = piece;
    if (!bytes) {
      const limit = `longer than the limit of ${options.maxLineBytes}`;
      return rejected(line, 'too-long', `${length} bytes, ${limit}; raise max_line_bytes`);
    }
    if (bytes.every(isBlank)) return null;
    const text = textOf(bytes);
    if (text === null) {
      return rejected(line, 'not-utf8', 'not valid UTF-8; save the file as UTF-8');
    }
    const parsed = parsedOf(text, format);
    if (parsed instanceof Refused) return rejected(line, parsed.reason, parsed.message);
    if (parsed === null) return null;

    const digest = contentDigest(parsed);
    const met = options.seen.add(parsed.id, line, digest);
    if (met?.digest === digest) {
      return { kind: 'duplicate', line, id: parsed.id, first: met.line };
    }
    if (met) {
      const other = `line ${met.line} has the id ${oneLine(JSON.stringify(parsed.id), 80)}`;
      return rejected(
        line,
        'same-id',
        `${other} too, with other content than line ${line}; give one of them another id`,
      );
    }
    const instruction = { ...parsed, source: name, source_line: line, added_at: 0 };
    return { kind: 'instruction', line, instruction };
  }
}

const breaks: Readonly<Record<Break['broken'], string>> = {
  'not-closed': 'the array is not closed; the file may be cut off, add the missing ]',
  'after-the-end': 'something follows the end of the array and is not read; remove it',
  'empty-element': 'a comma too many; remove it',
};

function parsedOf(text: string, format: Format): Parsed | Refused | null {
  // Blanks that are not ASCII make a line of plain text blank as well.
  if (format === 'text') return text.trim() === '' ? null : fromText(text);
  try {
    return fromJson(text);
  } catch (error) {
    if (error instanceof Refused) return error;
    throw error;
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

/** The format, and all chunks without a byte order mark; only as much is held as it takes to know. */
async function recognised(
  chunks: AsyncIterable<Uint8Array>,
  options: InputOptions,
): Promise<{ readonly format: Format; readonly chunks: AsyncIterable<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head = Buffer.alloc(0);
  let format: Format | null = null;
  while (!format) {
    const next = await iterator.next();
    if (!next.done) head = Buffer.concat([head, next.value]);
    const complete = next.done === true || head.length > options.maxLineBytes;
    // A byte order mark has three bytes, so even a format that was asked for waits for as many.
    if (head.length < 3 && !complete) continue;
    format = options.format === 'auto' ? formatOf(head, complete) : options.format;
  }
  const start = head.subarray(0, 3).equals(byteOrderMark) ? head.subarray(3) : head;
  return { format, chunks: { [Symbol.asyncIterator]: () => following(start, iterator) } };
}

/** Null while the bytes so far leave it open. */
function formatOf(head: Buffer, complete: boolean): Format | null {
  const undecided = complete ? 'text' : null;
  const from = head.subarray(0, 3).equals(byteOrderMark) ? 3 : 0;
  const [first, second] = firstTwo(head, from);
  if (first === undefined) return undecided;
  if (first === '{') return 'jsonl';
  if (first !== '[') return 'text';
  // Plain text may begin with a bracket, but hardly with one before a brace, a quote or its own end.
  if (second === undefined) return undecided;
  return '{"]'.includes(second) ? 'json' : 'text';
}

function firstTwo(head: Buffer, from: number): readonly string[] {
  const found: string[] = [];
  for (let at = from; at < head.length && found.length < 2; at += 1) {
    const byte = head[at] ?? 0;
    if (!isBlank(byte)) found.push(String.fromCharCode(byte));
  }
  return found;
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

async function* following(
  start: Uint8Array,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    if (start.length > 0) yield start;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) {
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}
