import { parentPort, workerData } from 'node:worker_threads';
import { openDatabase } from '../../infra/sqlite.ts';

/** Opens files in the same moment as all others do, and says of each whether it could be used. */
const { files, gate, openers } = workerData as {
  readonly files: readonly string[];
  readonly gate: Int32Array<SharedArrayBuffer>;
  readonly openers: number;
};
const said = files.map((file, index) => {
  // Everybody is here before anybody goes on.
  Atomics.add(gate, index, 1);
  while (Atomics.load(gate, index) < openers);
  try {
    const database = openDatabase({
      file,
      version: 1,
      create: (made) => made.exec('CREATE TABLE rows (id INTEGER PRIMARY KEY)'),
    });
    database.prepare('INSERT INTO rows DEFAULT VALUES').run();
    database.close();
    return 'fine';
  } catch (error) {
    return String(error);
  }
});
parentPort?.postMessage(said);
