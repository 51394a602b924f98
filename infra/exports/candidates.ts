import type { SqlRow } from '../sqlite.ts';
import type { Finding } from './gates/gate.ts';
import type { Kind } from './format.ts';
import { openScratch } from './scratch.ts';

/** A pair that passed the gates so far: where its record is, and what decides between it and others. */
export interface Fit {
  readonly row: number;
  readonly id: string;
  /** Chance decided on it; the smallest comes first. */
  readonly draw: number;
  readonly position: number;
  readonly instruction: string;
  readonly source: string;
  /** What `keptOf` keeps of it. */
  readonly prompt: string;
}

/** What stays out: a pair, a row for the refiner, or a record that cannot be read. */
export interface Rejection {
  readonly kind: Kind | 'record';
  readonly id: string;
  readonly instruction: string;
  readonly finding: Finding;
}

/**
 * What an export knows of its candidates while it chooses: on disk, so that memory does not grow with them. Pairs
 * come back in the order of their draw, rejections in the order of their ids, whatever order they came in.
 */
export class Candidates {
  private readonly database = openScratch(`
    CREATE TABLE pairs (row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, draw REAL NOT NULL,
      position INTEGER NOT NULL, instruction TEXT NOT NULL, source TEXT NOT NULL, prompt TEXT NOT NULL, distance REAL, fit INTEGER NOT NULL);
    CREATE TABLE rejections (kind TEXT NOT NULL, id TEXT NOT NULL, instruction TEXT NOT NULL, reason TEXT NOT NULL,
      detail TEXT NOT NULL, PRIMARY KEY (kind, id, reason)) WITHOUT ROWID;
  `);
  private readonly insert;
  private readonly unfit;
  private readonly next;
  private readonly note;
  private readonly promptOf;
  private readonly ofSource;

  constructor() {
    const { database } = this;
    this.insert = database.prepare(
      'INSERT OR IGNORE INTO pairs (id, draw, position, instruction, source, prompt, distance, fit) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    );
    this.unfit = database.prepare('UPDATE pairs SET fit = 0 WHERE row = ?');
    this.note = database.prepare('INSERT OR IGNORE INTO rejections VALUES (?, ?, ?, ?, ?)');
    this.promptOf = database.prepare('SELECT prompt FROM pairs WHERE row = ?');
    this.ofSource = database.prepare(
      'SELECT count(*), ifnull(sum(fit), 0) FROM pairs WHERE source = ?',
    );
    this.next = database.prepare(
      `SELECT row, id, draw, position, instruction, source, prompt FROM pairs
        WHERE fit = 1 AND (draw, id) > (?, ?) ORDER BY draw, id LIMIT ?`,
    );
  }

  /** False if it was added before: a topic may hold a record twice. */
  add(pair: Omit<Fit, 'row'>, distance: number | null, finding: Finding | null): boolean {
    const { id, draw, position, instruction, source, prompt } = pair;
    const fit = finding ? 0 : 1;
    const added = this.insert.run(
      ...[id, draw, position, instruction, source, prompt, distance, fit],
    );
    if (added === 0) return false;
    if (finding) this.reject({ kind: 'preference', id, instruction, finding });
    return true;
  }

  /** Every pair has been added: from now on they can be walked through. */
  sort(): void {
    this.database.exec('CREATE INDEX in_order ON pairs (draw, id) WHERE fit = 1');
  }

  /** Those that are fit, in the order of their draw; while it walks, it may be told that one is not. */
  *inOrder(): Generator<Fit> {
    for (let [draw, id] = [-1, '']; ;) {
      const page = this.next.all(draw, id, pageRows).map(fitOf);
      yield* page;
      const last = page.at(-1);
      if (!last) return;
      ({ draw, id } = last);
    }
  }

  leaveOut(pair: Fit, finding: Finding): void {
    this.unfit.run(pair.row);
    const { id, instruction } = pair;
    this.reject({ kind: 'preference', id, instruction, finding });
  }

  /** Noted once, however often it is told. */
  reject({ kind, id, instruction, finding: { reason, detail } }: Rejection): void {
    this.note.run(kind, id, instruction, reason, detail);
  }

  prompt(row: number): string {
    return String(this.promptOf.get(row)?.[0] ?? '');
  }

  /** Pairs that are fit. */
  count(): number {
    return this.number('SELECT count(*) FROM pairs WHERE fit = 1');
  }

  /** How many rows of a kind were left out, by reason. */
  tally(kind: Rejection['kind']): ReadonlyMap<string, number> {
    const rows = this.database
      .prepare('SELECT reason, count(*) FROM rejections WHERE kind = ? GROUP BY reason')
      .all(kind);
    return new Map(rows.map(([reason, count]) => [String(reason), Number(count)]));
  }

  /** How many pairs of a source there are, and how many of them are fit. */
  source(name: string): { readonly read: number; readonly chosen: number } {
    const [read, chosen] = this.ofSource.get(name) ?? [];
    return { read: Number(read), chosen: Number(chosen) };
  }

  *rejections(): Generator<object> {
    const rows = this.database
      .prepare(
        'SELECT kind, id, instruction, reason, detail FROM rejections ORDER BY kind, id, reason',
      )
      .iterate();
    for (const [kind, id, instruction, reason, detail] of rows) {
      yield { kind, id, instruction, reason, detail };
    }
  }

  /** How far apart the sides of the pairs are that came as far as being measured; null if none did. */
  distances(): Distances | null {
    const pairs = this.number('SELECT count(distance) FROM pairs');
    if (pairs === 0) return null;
    const ranks = shares.map((share) => Math.round(share * (pairs - 1)));
    const quantiles: number[] = [];
    const tenths = Array.from({ length: 10 }, () => 0);
    const sorted = this.database
      .prepare('SELECT distance FROM pairs WHERE distance IS NOT NULL ORDER BY distance')
      .iterate();
    let rank = 0;
    for (const [value] of sorted) {
      const distance = Number(value);
      while (ranks[quantiles.length] === rank) quantiles.push(distance);
      const tenth = Math.min(9, Math.floor(distance * 10));
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
      rank += 1;
    }
    const [smallest = 0, p5 = 0, p25 = 0, median = 0, p75 = 0, p95 = 0, largest = 0] = quantiles;
    return { pairs, smallest, p5, p25, median, p75, p95, largest, tenths };
  }

  close(): void {
    this.database.close();
  }

  private number(sql: string): number {
    return Number(this.database.prepare(sql).get()?.[0] ?? 0);
  }
}

export interface Distances {
  readonly pairs: number;
  readonly smallest: number;
  readonly p5: number;
  readonly p25: number;
  readonly median: number;
  readonly p75: number;
  readonly p95: number;
  readonly largest: number;
  /** Pairs from 0 to 0.1, from there to 0.2, and so on. */
  readonly tenths: readonly number[];
}

/** Where the quantiles of `Distances` stand. */
const shares = [0, 0.05, 0.25, 0.5, 0.75, 0.95, 1];

/** Pairs that are held at once. */
const pageRows = 1000;

const fitOf = ([row, id, draw, position, instruction, source, prompt]: SqlRow): Fit => ({
  row: Number(row),
  id: String(id),
  draw: Number(draw),
  position: Number(position),
  instruction: String(instruction),
  source: String(source),
  prompt: String(prompt),
});
