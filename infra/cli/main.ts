import { Command, CommanderError } from 'commander';
import { UsageError } from '../errors.ts';
import { StorageError } from '../sqlite.ts';
import { messageOf } from '../text.ts';
import { checkCommand } from './check.ts';
import { copyCommand } from './copy.ts';
import { deadLettersCommand } from './dead-letters.ts';
import { doctorCommand } from './doctor.ts';
import { evaluateCommand } from './evaluate.ts';
import { exportCommand } from './export.ts';
import { ingestCommand } from './ingest.ts';
import { pairCommand } from './pair.ts';
import { purgeCommand, rejectCommand } from './remove.ts';
import { runCommand } from './run.ts';
import { simulateCommand } from './simulate.ts';
import { statusCommand } from './status.ts';
import { tapCommand } from './tap.ts';
import { topicsCommand } from './topics.ts';
import { topologyCommand } from './topology.ts';
import { treeCommand } from './tree.ts';
import { version } from './version.ts';
import { workerCommand } from './worker.ts';

/** 0 done, 1 failed, 2 usage, 3 incomplete: budget, 130/143 interrupted. */
export async function main(argv: readonly string[]): Promise<void> {
  // `spar tap … | head` ends the pipe early; that is not an error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  // Whoever closes standard error loses what is said there, and nothing else.
  process.stderr.on('error', () => undefined);
  const program = createProgram();
  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    // Commander has already said what was wrong, or printed the help.
    if (!(error instanceof CommanderError)) process.stderr.write(`spar: ${messageOf(error)}\n`);
    if (process.env['SPAR_DEBUG'] && error instanceof Error)
      process.stderr.write(`${error.stack}\n`);
  }
}

/** Every command with its options, as the documents are checked against. */
export function createProgram(): Command {
  const program = new Command('spar')
    .description(
      'Turns a stream of instructions into preference data that makes a language model follow instructions better.',
    )
    .version(version)
    .addHelpText(
      'after',
      `
Start here:
  $ spar run instructions.jsonl --model-url http://localhost:8000/v1 --model my-model
  $ spar pair            # look at what came out
  $ spar run --help      # everything else`,
    )
    .showHelpAfterError('(add --help to see how it is used)');
  for (const command of [
    runCommand(),
    statusCommand(),
    treeCommand(),
    pairCommand(),
    tapCommand(),
    exportCommand(),
    checkCommand(),
    evaluateCommand(),
    rejectCommand(),
    purgeCommand(),
    deadLettersCommand(),
    topologyCommand(),
    workerCommand(),
    ingestCommand(),
    topicsCommand(),
    copyCommand(),
    doctorCommand(),
    simulateCommand(),
  ]) {
    program.addCommand(command.exitOverride());
  }
  return program.exitOverride();
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) return 2;
  if (error instanceof StorageError) return 1;
  return 1;
}
