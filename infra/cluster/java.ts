import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';

/** Kafka 4 and Apicurio 3.0 both need it. */
const oldest = 17;

/** Starting a JVM that only says its version takes a tenth of this. */
const versionMsMax = 20_000;

/**
 * The `java` to run: that of JAVA_HOME, else the one on the PATH.
 *
 * @throws UsageError if there is none, or it is older than 17
 */
export async function findJava(
  environment: Readonly<NodeJS.ProcessEnv> = process.env,
): Promise<string> {
  const home = environment['JAVA_HOME'];
  const java = home ? join(home, 'bin', 'java') : 'java';
  const said = await versionOf(java, environment);
  // `17.0.15`, `21`, or with the first number before Java 9: `1.8.0_402`.
  const [, version = '0'] = /version "(?:1\.)?(\d+)/.exec(said) ?? [];
  if (Number(version) < oldest) {
    throw new UsageError(
      `Kafka needs Java ${oldest} or newer, and ${java} is ${version}: install a newer one, or name it with JAVA_HOME`,
    );
  }
  return java;
}

async function versionOf(java: string, env: Readonly<NodeJS.ProcessEnv>): Promise<string> {
  try {
    // It says it on the standard error.
    const { stdout, stderr } = await promisify(execFile)(java, ['-version'], {
      env,
      timeout: versionMsMax,
    });
    return `${stdout}${stderr}`;
  } catch (error) {
    throw new UsageError(
      `Kafka needs Java ${oldest} or newer, and ${java} does not run (${messageOf(error)}): install one, or name it with JAVA_HOME`,
      { cause: error },
    );
  }
}
