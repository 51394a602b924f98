import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';

/**
 * What is run, from Maven's central repository by the machine's ordinary `mvn`, into a folder of ours. Every file is
 * held against `artifacts.lock.json` before each start, and a file that is there is never fetched again.
 */
export interface Artifact {
  /** As people call it, with its version. */
  readonly name: string;
  readonly folder: string;
  /** For a sentence that says how long this may take. */
  readonly megabytes: number;
  /** Fills the folder. */
  readonly fetch: (folder: string, progress: Progress) => Promise<void>;
}

/** Called with a line whenever there is something to tell. */
export type Progress = (line: string) => void;

const kafkaVersion = '4.4.0';
// Newer versions of the registry need Java 21.
const registryVersion = '3.0.9';
// Kafka's jars name no logger; without one the broker would not say why it failed.
const loggerVersion = '1.7.36';

/** A folder of jars, all of which belong on the class path. */
export const kafka: Artifact = {
  name: `Apache Kafka ${kafkaVersion}`,
  folder: `kafka-${kafkaVersion}`,
  megabytes: 43,
  fetch: copyDependencies,
};

/** A folder with one jar to run, and beside it those that it needs. */
export const registry: Artifact = {
  name: `Apicurio Registry ${registryVersion}`,
  folder: `apicurio-registry-${registryVersion}`,
  megabytes: 109,
  fetch: copyRegistry,
};
export const registryJar = `apicurio-registry-app-${registryVersion}-runner.jar`;

/** Where fetched files are kept: SPAR_KAFKA_CACHE, or `.cache` in the repository. */
export function cacheFolder(environment: Readonly<NodeJS.ProcessEnv> = process.env): string {
  const named = environment['SPAR_KAFKA_CACHE'];
  return named ? resolve(named) : join(import.meta.dirname, '../../.cache');
}

/**
 * The folder with the artifact's files, each of them verified; fetches them if they are not there.
 *
 * @throws UsageError if they cannot be fetched, or are not the files that the lock names
 */
export async function ensure(
  artifact: Artifact,
  cache: string,
  progress: Progress,
  lock: Lock = readLock(),
): Promise<string> {
  const folder = join(cache, artifact.folder);
  if (!existsSync(folder)) {
    await fetchInto(artifact, cache, progress, async (fetched) => {
      // What came over the network is verified before it gets the name under which it would be run.
      verify(artifact, lock, fetched, await sumsOf(fetched), fetchedRemedy);
    });
  }
  const remedy = `delete ${folder} and start again, which fetches it anew`;
  verify(artifact, lock, folder, await sumsOf(folder), remedy);
  return folder;
}

const fetchedRemedy =
  "delete that file in Maven's local repository and start again. If it stays so, somebody changed what the repository serves: do not run it";

/** Fetches everything anew, and writes the lock from what came. */
export async function rewriteLock(cache: string, progress: Progress): Promise<void> {
  const written: Record<string, Lock[string]> = {};
  for (const artifact of [kafka, registry]) {
    await rm(join(cache, artifact.folder), { recursive: true, force: true });
    await fetchInto(artifact, cache, progress, async (fetched) => {
      written[artifact.folder] = await sumsOf(fetched);
    });
  }
  writeFileSync(lockFile, `${JSON.stringify(written, null, 2)}\n`);
  progress(`Wrote ${lockFile}`);
}

const lockFile = join(import.meta.dirname, 'artifacts.lock.json');

/** SHA-256 in hex, by artifact's folder and path within. */
export type Lock = Readonly<Record<string, Sums>>;
type Sums = Readonly<Record<string, string>>;

// This file writes it.
const readLock = (): Lock => JSON.parse(readFileSync(lockFile, 'utf8')) as Lock;

/** @throws UsageError that names the first file that is not what the lock says */
function verify(
  { name, folder }: Artifact,
  lock: Lock,
  place: string,
  found: Sums,
  remedy: string,
): void {
  const locked = lock[folder];
  if (!locked) {
    throw new UsageError(
      `${lockFile} does not know ${name}: npm run kafka:up -- --rewrite-lock writes it`,
    );
  }
  for (const [path, sum] of Object.entries(locked)) {
    if (found[path] === undefined) {
      throw new UsageError(`${name} lacks ${join(place, path)}: ${remedy}`);
    }
    if (found[path] !== sum) {
      throw new UsageError(
        `${join(place, path)} has the SHA-256 ${found[path]}, and ${sum} was expected: ${remedy}`,
      );
    }
  }
  // One jar more on the class path would be run, too.
  const extra = Object.keys(found).find((path) => !Object.hasOwn(locked, path));
  if (extra !== undefined) {
    throw new UsageError(`${join(place, extra)} does not belong to ${name}: ${remedy}`);
  }
}

async function sumsOf(folder: string): Promise<Sums> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .toSorted();
  const sums: [string, string][] = [];
  for (const path of paths) {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(folder, path), { highWaterMark: 1 << 20 }), hash);
    sums.push([path.replaceAll('\\', '/'), hash.digest('hex')]);
  }
  return Object.fromEntries(sums);
}

/** In a folder of its own first: two that fetch at once do not disturb each other, and half of it never counts. */
async function fetchInto(
  artifact: Artifact,
  cache: string,
  progress: Progress,
  accept: (fetched: string) => Promise<void>,
): Promise<void> {
  await mkdir(cache, { recursive: true });
  const work = await mkdtemp(join(cache, 'fetching-'));
  try {
    progress(`Fetching ${artifact.name} with mvn, ${artifact.megabytes} MB; once only`);
    const fetched = join(work, 'files');
    await mkdir(fetched);
    await artifact.fetch(fetched, progress);
    await accept(fetched);
    try {
      await rename(fetched, join(cache, artifact.folder));
    } catch (error) {
      // Another process was faster; its files are verified like ours.
      if (!existsSync(join(cache, artifact.folder))) throw error;
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** 3.8.1 fails on the registry's parent POM. */
const plugin = 'org.apache.maven.plugins:maven-dependency-plugin:2.8';

/** Maven takes jars with all that they need only from the dependencies of a project, so it gets one. */
async function copyDependencies(folder: string, progress: Progress): Promise<void> {
  const project = join(folder, '..', 'pom.xml');
  await writeFile(
    project,
    `<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>spar</groupId><artifactId>kafka</artifactId><version>0</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>${loggerVersion}</version></dependency>
  </dependencies>
</project>
`,
  );
  const goal = [`${plugin}:copy-dependencies`, '-DincludeScope=runtime'];
  await maven(['-f', project, ...goal, `-DoutputDirectory=${folder}`], folder, progress);
}

async function copyRegistry(folder: string, progress: Progress): Promise<void> {
  const archives = join(folder, '..', 'archives');
  const artifact = `io.apicurio:apicurio-registry-app:${registryVersion}:tar.gz:all`;
  await maven(
    [`${plugin}:copy`, `-Dartifact=${artifact}`, `-DoutputDirectory=${archives}`],
    join(folder, '..'),
    progress,
  );
  const [archive = ''] = await readdir(archives);
  progress('Unpacking it');
  await promisify(execFile)('tar', ['-xzf', join(archives, archive), '-C', folder]);
}

/** A download that takes longer has got stuck. */
const mavenMsMax = 15 * 60 * 1000;
const progressEveryMs = 5000;

async function maven(args: readonly string[], cwd: string, progress: Progress): Promise<void> {
  const child = spawn('mvn', ['-B', ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: mavenMsMax,
  });
  const complaints: string[] = [];
  const complain = (line: string): void => {
    if (complaints.length < complaintsMax) complaints.push(line);
  };
  let files = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (line.includes('Downloaded')) files += 1;
    if (line.includes('ERROR')) complain(line);
  });
  createInterface({ input: child.stderr }).on('line', (line) => {
    // Colours off, and nothing else, is said even when all is well.
    if (/\w{3}/.test(line)) complain(line);
  });
  const startedAt = performance.now();
  // One archive is most of it, so a count of files alone would stand still.
  const ticking = setInterval(() => {
    progress(`… ${files} files, ${Math.round((performance.now() - startedAt) / 1000)} s`);
  }, progressEveryMs);
  const failure = await new Promise<string | null>((resolve) => {
    child.once('error', (error) => resolve(messageOf(error)));
    child.once('close', (code, signal) => {
      resolve(code === 0 ? null : `it ended with ${code ?? signal ?? 'nothing'}`);
    });
  });
  clearInterval(ticking);
  if (failure === null) return;
  throw new UsageError(
    [
      `mvn could not fetch what is needed: ${failure}. Maven 3 has to be installed and has to reach its repository; a mirror goes into its settings.xml.`,
      ...complaints,
    ].join('\n'),
  );
}

/** The first says it; Maven goes on with how to say more. */
const complaintsMax = 2;
