import { topics as all } from '../../topology/topics.ts';
import { openScratch } from './scratch.ts';
import { records, recordsFrom, type Topics } from './topic.ts';

/** What the gates ask about the responses that a pair began with, read from the topics once and kept on disk. */
export class Evidence {
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

  /** Where the responses of each partition are to be read on. */
  private readonly cutsRead = new Map<number, number>();

  /** Notes which responses the server cut off, of those that it has not read before. */
  async readCuts(
    topics: Topics,
    wanted: ReadonlySet<string>,
    undecodable: (place: string) => void,
  ): Promise<void> {
    const from = (partition: number) => this.cutsRead.get(partition) ?? 0;
    const responses = recordsFrom(topics, all.responses, from, undecodable);
    for await (const { row, partition, offset } of responses) {
      this.cutsRead.set(partition, offset + 1);
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
