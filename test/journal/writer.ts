import { openSqliteJournal } from '../../infra/journal/sqlite.ts';
import { systemTime } from '../../infra/time.ts';
import { drawId, entry } from '../contract/journal.ts';

/** Puts answers until it is killed, several at a time, and prints each number only after it is durable. */
const [file = ''] = process.argv.slice(2);
const journal = openSqliteJournal({ file, time: systemTime });
for (let number = 0; ;) {
  const batch = Array.from({ length: 4 }, () => number++);
  await Promise.all(
    batch.map(async (each) => {
      await journal.put('i', [{ id: drawId(each), ...entry(`answer ${each}`) }], { calls: 1 });
      process.stdout.write(`${each}\n`);
    }),
  );
}
