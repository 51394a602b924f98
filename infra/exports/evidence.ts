import type { Constraint, Responses, Verdicts } from '../../schemas/records.ts';
import type { Topic } from '../../topology/topology.ts';
import { topics as all } from '../../topology/topics.ts';
import { openScratch } from './scratch.ts';
import type { GateSettings } from './settings.ts';
import { recordsFrom, type Topics } from './topic.ts';

/** What the gates ask about the responses that a pair began with, read from the topics once and kept on disk. */
export class Evidence {
  private readonly database = openScratch(`
    CREATE TABLE cut (id TEXT NOT NULL, response INTEGER NOT NULL, PRIMARY KEY (id, response)) WITHOUT ROWID;
    CREATE TABLE asked (id TEXT PRIMARY KEY, constraints TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE judged (id TEXT PRIMARY KEY, passed INTEGER NOT NULL, failed INTEGER NOT NULL) WITHOUT ROWID;
  `);
  private readonly addCut = this.database.prepare('INSERT OR IGNORE INTO cut VALUES (?, ?)');
  private readonly findCut = this.database.prepare(
    'SELECT 1 FROM cut WHERE id = ? AND response = ?',
  );
  private readonly addAsked = this.database.prepare('INSERT OR IGNORE INTO asked VALUES (?, ?)');
  private readonly findAsked = this.database.prepare('SELECT constraints FROM asked WHERE id = ?');
  private readonly addJudged = this.database.prepare(
    'INSERT OR IGNORE INTO judged VALUES (?, ?, ?)',
  );
  private readonly findJudged = this.database.prepare(
    'SELECT passed, failed FROM judged WHERE id = ?',
  );

  /** Where each topic's partitions are to be read on. */
  private readonly next = new Map<string, number>();

  /** Reads what the gates that are on ask about, of what it has not read before. */
  async read(
    topics: Topics,
    wanted: ReadonlySet<string>,
    gates: GateSettings,
    undecodable: (place: string) => void,
    /** Whether rows are made of texts whose records do not say what was asked for. */
    asksConstraints = false,
  ): Promise<void> {
    if (gates.truncated !== 'off') {
      for await (const row of this.unread(topics, all.responses, undecodable)) {
        if (wanted.has(row.iteration)) this.noteCuts(row);
      }
    }
    const needsConstraints = asksConstraints && gates.constraints;
    if (asksPassRate(gates) || gates.truncated !== 'off' || needsConstraints) {
      // It is read once more for what is written: a step of its own, since none goes back.
      const told: Topics = {
        ...topics,
        progress: (one) => topics.progress?.({ ...one, step: `${one.step} for the gates` }),
      };
      for await (const row of this.unread(told, all.verdicts, undecodable)) {
        if (!wanted.has(row.iteration)) continue;
        this.noteJudged(row);
        if (needsConstraints) this.noteAsked(row);
        // A lazy judge has sampled on.
        this.noteCuts(row);
      }
    }
  }

  private async *unread<Row>(
    topics: Topics,
    topic: Topic<Row>,
    undecodable: (place: string) => void,
  ): AsyncGenerator<Row> {
    const placeOf = (partition: number) => `${topic.name}/${partition}`;
    const from = (partition: number) => this.next.get(placeOf(partition)) ?? 0;
    for await (const read of recordsFrom(topics, topic, from, undecodable)) {
      this.next.set(placeOf(read.partition), read.offset + 1);
      yield read.row;
    }
  }

  /** The responses that the server cut off. */
  private noteCuts({ id, responses }: Pick<Responses, 'id' | 'responses'>): void {
    for (const { index, finish_reason } of responses) {
      if (finish_reason === 'length') this.addCut.run(id, index);
    }
  }

  /** What an instruction asks for: trees and their refinements do not say it. */
  private noteAsked({ id, constraints }: Verdicts): void {
    if (constraints.length > 0) this.addAsked.run(id, JSON.stringify(constraints));
  }

  /** How many responses to an instruction passed and failed; a tie is neither. */
  private noteJudged({ id, judged }: Verdicts): void {
    const count = (verdict: string) => judged.filter((one) => one.verdict === verdict).length;
    this.addJudged.run(id, count('pass'), count('fail'));
  }

  /** @param id iteration/instruction */
  wasCut(id: string, response: number): boolean {
    return this.findCut.get(id, response) !== null;
  }

  /** None if nothing is known of it. @param id iteration/instruction */
  constraints(id: string): readonly Constraint[] {
    const row = this.findAsked.get(id);
    // `noteAsked` wrote it.
    return row === null ? [] : (JSON.parse(String(row[0])) as readonly Constraint[]);
  }

  /** Null if nothing is known of it. @param id iteration/instruction */
  judged(id: string): { readonly passed: number; readonly failed: number } | null {
    const row = this.findJudged.get(id);
    return row && { passed: Number(row[0]), failed: Number(row[1]) };
  }

  close(): void {
    this.database.close();
  }
}

/** Whether verdicts have to be read: they are the largest topic. */
export const asksPassRate = ({ pass_rate }: GateSettings): boolean =>
  pass_rate.min > 0 || pass_rate.max < 1;
