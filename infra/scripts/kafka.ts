/**
 * `npm run kafka:up` and `npm run kafka:down`: a Kafka broker and a schema registry on this machine, without
 * containers. They outlive the command that starts them; a file beside their data tells the other command which
 * processes they are.
 */
import { Command, CommanderError } from 'commander';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder, rewriteLock } from '../cluster/artifacts.ts';
import { startBroker } from '../cluster/broker.ts';
import { isRunning, type Marked } from '../cluster/guard.ts';
import { startRegistry } from '../cluster/registry.ts';
import { examples, wholeNumber } from '../cli/options.ts';
import { print } from '../cli/output.ts';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';

const folderDefault = '.spar-kafka';

interface Flags {
  readonly folder: string;
}

const program = new Command('kafka').exitOverride();

program
  .command('up')
  .usage('[-- options]')
  .description(
    `Starts a Kafka broker and a schema registry (Apicurio, with Confluent's API) on 127.0.0.1, and leaves them
running. The first start fetches them with mvn, about 150 MB; both need Java 17 or newer.`,
  )
  .option('--folder <dir>', 'where they keep data and logs', folderDefault)
  .option('--port <number>', 'of the broker; 0 takes a free one', wholeNumber(0), 19092)
  .option('--registry-port <number>', 'of the registry; 0 takes a free one', wholeNumber(0), 18081)
  .option('--rewrite-lock', 'fetch everything anew, pin the checksums of what came, start nothing')
  .addHelpText(
    'after',
    examples(
      'npm run kafka:up',
      'npm run kafka:up -- --port 29092 --registry-port 28081 --folder .spar-kafka-2',
      'npm run kafka:down',
    ) +
      `\n
Files are fetched into .cache, or the folder that SPAR_KAFKA_CACHE names, and are held against the checksums in
infra/cluster/artifacts.lock.json before each start. JAVA_HOME says which Java runs them.`,
  )
  .action(up);

program
  .command('down')
  .usage('[-- options]')
  .description(
    'Ends what kafka:up started. Data and logs stay, and the next kafka:up goes on with them.',
  )
  .option('--folder <dir>', 'as kafka:up was given it', folderDefault)
  .option('--delete', 'remove data and logs, too')
  .addHelpText('after', examples('npm run kafka:down', 'npm run kafka:down -- --delete'))
  .action(down);

/** What one command leaves for the other. */
interface Started {
  readonly brokers: string;
  readonly registry: string;
  readonly processes: readonly Marked[];
}

const stateFile = (folder: string): string => join(folder, 'running.json');

async function up(
  flags: Flags & {
    readonly port: number;
    readonly registryPort: number;
    readonly rewriteLock?: true;
  },
): Promise<void> {
  const progress = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };
  if (flags.rewriteLock) return rewriteLock(cacheFolder(), progress);
  const before = startedIn(flags.folder);
  if (before?.processes.every(isRunning)) {
    await print(`Broker and registry are running already.\n${summary(before, flags.folder)}`);
    return;
  }
  if (before?.processes.some(isRunning)) {
    throw new UsageError(
      `one of the two that run from ${flags.folder} has ended: npm run kafka:down ends the other, then start again`,
    );
  }
  mkdirSync(flags.folder, { recursive: true });
  // Until both are up they end with this command, if it is interrupted or one of them fails.
  const broker = await startBroker({
    folder: join(flags.folder, 'broker'),
    port: flags.port,
    progress,
  });
  const registry = await startRegistry({
    folder: join(flags.folder, 'registry'),
    port: flags.registryPort,
    progress,
  });
  for (const service of [broker, registry]) {
    if (!service.process) throw new Error(`it came up and ended at once: see ${service.logFile}`);
  }
  const started: Started = {
    brokers: broker.brokers,
    registry: registry.url,
    processes: [broker, registry].flatMap((service) => service.process ?? []),
  };
  writeFileSync(stateFile(flags.folder), `${JSON.stringify(started, null, 2)}\n`);
  broker.detach();
  registry.detach();
  await print(`Broker and registry are up.\n${summary(started, flags.folder)}`);
}

const summary = ({ brokers, registry, processes }: Started, folder: string): string => `
  --brokers ${brokers} --registry ${registry}

Data and logs are in ${folder}; processes ${processes.map(({ pid }) => pid).join(' and ')}.
npm run kafka:down${folder === folderDefault ? '' : ` -- --folder ${folder}`} ends them.
`;

/** Both hand over what they hold within a second or two. */
const endMsMax = 15_000;

async function down({ folder, delete: remove }: Flags & { readonly delete?: true }): Promise<void> {
  const processes = (startedIn(folder)?.processes ?? []).filter(isRunning);
  for (const { pid } of processes) process.kill(pid, 'SIGTERM');
  const deadline = performance.now() + endMsMax;
  while (processes.some(isRunning) && performance.now() < deadline) await sleep(50);
  for (const each of processes) if (isRunning(each)) process.kill(each.pid, 'SIGKILL');
  rmSync(stateFile(folder), { force: true });
  // Only what is ours: the folder may be one that was there before.
  if (remove) {
    for (const ours of ['broker', 'registry']) {
      rmSync(join(folder, ours), { recursive: true, force: true });
    }
  }
  await print(
    processes.length === 0 ? `Nothing was running from ${folder}.\n` : 'Both have ended.\n',
  );
}

function startedIn(folder: string): Started | null {
  const file = stateFile(folder);
  // This file writes it.
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Started) : null;
}

try {
  await program.parseAsync();
} catch (error) {
  // Commander has already said what was wrong, or printed the help.
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
  } else {
    process.exitCode = error instanceof UsageError ? 2 : 1;
    process.stderr.write(`${messageOf(error)}\n`);
  }
}
