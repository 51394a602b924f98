import { openSqliteLog } from '../../infra/log/sqlite.ts';
import { systemTime } from '../../infra/time.ts';

/** Appends until it is killed, and prints each offset only after the log has acknowledged it. */
const [file = ''] = process.argv.slice(2);
const topic = 'spar.plain';
const log = openSqliteLog({
  file,
  topics: [{ name: topic, keyed: false }],
  partitions: 2,
  time: systemTime,
});
for (let offset = 0; ; offset++) {
  const value = Buffer.from(`record ${offset}`);
  const [written] = await log.append([{ topic, partition: 0, key: null, headers: {}, value }]);
  process.stdout.write(`${written}\n`);
}
