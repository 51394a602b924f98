import type { FileHandle } from 'node:fs/promises';
import type { RowCheck, RowWriter } from './rows.ts';

/** A temporary file under way. */
export class Staged {
  readonly place: string;
  readonly check: RowCheck | null;
  /** Rows added so far. */
  rows = 0;
  private readonly handle: FileHandle;
  private readonly writer: RowWriter;
  private closed = false;

  constructor(place: string, handle: FileHandle, check: RowCheck | null, writer: RowWriter) {
    this.place = place;
    this.check = check;
    this.handle = handle;
    this.writer = writer;
  }

  async addRow(row: object): Promise<void> {
    this.rows += 1;
    await this.writer.add(row);
  }

  async addText(text: string): Promise<void> {
    await this.handle.appendFile(text);
  }

  /** Writes what is left to the disk. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    try {
      await this.writer.finish();
      await this.handle.sync();
    } finally {
      await this.handle.close();
    }
  }

  /** Lets go of the file, whatever is left. */
  async drop(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    await this.handle.close();
  }
}

/** Writes gather in memory until there are this many characters. */
const bufferedMax = 256 * 1024;

/** One JSON object a line. */
export class JsonLines implements RowWriter {
  private readonly handle: FileHandle;
  private buffered = '';

  constructor(handle: FileHandle) {
    this.handle = handle;
  }

  async add(row: object): Promise<void> {
    this.buffered += `${escaped(JSON.stringify(row, wellFormed))}\n`;
    if (this.buffered.length >= bufferedMax) await this.finish();
  }

  async finish(): Promise<void> {
    const text = this.buffered;
    this.buffered = '';
    await this.handle.appendFile(text);
  }
}

/** Arrow refuses half of a surrogate pair, and with it the whole file. */
const wellFormed = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.toWellFormed() : value;

/** Readers that split text at every Unicode line end would cut a row in two. */
const escaped = (json: string): string =>
  json.replaceAll(
    /[\u0085\u2028\u2029]/g,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
