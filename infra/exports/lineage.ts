import { topics as all } from '../../topology/topics.ts';
import { openScratch } from './scratch.ts';
import { records, type Topics } from './topic.ts';

/** What the gates ask about the responses that a pair began with, read from the topics once and kept on disk. */
export class Lineage {
  private readonly database = openScratch(`
    CREATE TABLE cut (id TEXT NOT NULL, response INTEGER NOT NULL, PRIMARY KEY (id, response)) WITHOUT ROWID;
    CREATE TABLE judged (id TEXT PRIMARY KEY, passed INTEGER NOT NULL, failed INTEGER NOT NULL) WITHOUT ROWID;
  `);
  private readonly addCut = this.database.prepare('INSERT OR IGNORE INTO cut VALUES (?, ?)');
  private readonly findCut = this.database.prepare(
    'SELECT 1 FROM cut WHERE id = ? AND response = ?',
  );
  private readonly addJudged = this.database.prepare(
    'INSERT OR IGNORE INTO judged VALUES (?, ?, ?)',
  );
  private readonly findJudged = this.database.prepare(
    'SELECT passed, failed FROM judged WHERE id = ?',
  );

  /** Notes which responses the server cut off. */
  async readCuts(
    topics: Topics,
    wanted: ReadonlySet<string>,
    undecodable: (place: string) => void,
  ): Promise<void> {
    for await (const { row } of records(topics, all.responses, undecodable)) {
      if (!wanted.has(row.iteration)) continue;
      for (const { index, finish_reason } of row.responses) {
        if (finish_reason === 'length') this.addCut.run(row.id, index);
      }
    }
  }

  /** Notes how many responses to each instruction passed and failed; a tie is neither. */
  async readVerdicts(
    topics: Topics,
    wanted: ReadonlySet<string>,
    undecodable: (place: string) => void,
  ): Promise<void> {
    for await (const { row } of records(topics, all.verdicts, undecodable)) {
      if (!wanted.has(row.iteration)) continue;
      const count = (verdict: string) => row.judged.filter((one) => one.verdict === verdict).length;
      this.addJudged.run(row.id, count('pass'), count('fail'));
    }
  }

  /** @param id iteration/instruction */
  wasCut(id: string, response: number): boolean {
    return this.findCut.get(id, response) !== null;
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
