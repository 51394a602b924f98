import { createHash } from 'node:crypto';
import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  type FileHandle,
} from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { ParquetRows, type Columns } from './parquet.ts';
import { isMissing, readBack, sha256Of } from './read-back.ts';
import type { RowCheck } from './rows.ts';
import { JsonLines, Staged } from './staged.ts';

/** A file of an export, by its path within the folder; `rows` is null where it holds none. */
export interface ExportedFile {
  readonly path: string;
  readonly rows: number | null;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * A set of files that is published together. Each is written within a folder of this process and read back; `publish`
 * then moves those into place whose content is new, removes what only the export before had, and writes the manifest
 * last. So a reader never sees half a file, and nothing is touched where nothing changed.
 *
 * It may be killed at any moment: what it is about to move is noted before, so that the next export knows all that is
 * there, and what it had not yet moved is in a folder whose process is gone.
 */
export class Publication {
  private readonly folder: string;
  private readonly writing: string;
  private readonly staged = new Map<string, Staged>();

  constructor(folder: string) {
    this.folder = folder;
    this.writing = join(folder, `.writing-${process.pid}`);
  }

  /**
   * Adds a row to a file; the first row opens it.
   *
   * @param columns those of a Parquet file; without them it is one JSON object a line
   */
  async addRow(path: string, row: object, check: RowCheck, columns?: Columns): Promise<void> {
    const file = this.staged.get(path) ?? (await this.open(path, check, columns));
    await file.addRow(row);
  }

  async addText(path: string, text: string): Promise<void> {
    const file = this.staged.get(path) ?? (await this.open(path, null));
    await file.addText(text);
  }

  /** Rows written to the file so far. */
  rows(path: string): number {
    return this.staged.get(path)?.rows ?? 0;
  }

  /**
   * @param manifest fields of the manifest beside its list of files; nothing that changes from one export of the
   *   same content to the next
   * @param kept files of the export before that stay as they are, and are listed with the new ones
   * @throws Error if what was read back is not what was written.
   */
  async publish(
    manifest: object,
    kept: readonly ExportedFile[] = [],
  ): Promise<readonly ExportedFile[]> {
    const made: ExportedFile[] = [];
    for (const [path, file] of sorted(this.staged)) {
      await file.close();
      made.push(await readBack(path, file));
    }
    const files = [...kept, ...made];
    const previous = await previousFiles(this.folder);
    const touched = new Set([...files.map(({ path }) => path), ...previous]);
    await this.writeJson(notedName, { files: [...touched].map((path) => ({ path })) });
    for (const { path, sha256 } of made) await this.move(path, sha256);
    await removeFiles(
      this.folder,
      previous.filter((path) => !files.some((file) => file.path === path)),
    );
    await this.writeJson(manifestName, { ...manifest, files });
    await rm(join(this.folder, notedName));
    await this.abandon();
    return files;
  }

  /** Removes what was not published. */
  async abandon(): Promise<void> {
    for (const file of this.staged.values()) await file.drop();
    this.staged.clear();
    await rm(this.writing, { recursive: true, force: true });
  }

  private async writeJson(path: string, value: object): Promise<void> {
    const text = `${JSON.stringify(value, null, 2)}\n`;
    const handle = await this.create(path);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await this.move(path, createHash('sha256').update(text).digest('hex'));
  }

  /** Moves a file that was written to its place, unless it is there already. */
  private async move(path: string, sha256: string): Promise<void> {
    const [from, to] = [join(this.writing, path), join(this.folder, path)];
    if ((await sha256Of(to)) === sha256) {
      await rm(from);
      return;
    }
    await mkdir(dirname(to), { recursive: true });
    await rename(from, to);
  }

  private async open(path: string, check: RowCheck | null, columns?: Columns): Promise<Staged> {
    if (this.staged.size === 0) {
      await removeLeftovers(this.folder);
    }
    const handle = await this.create(path);
    const writer = columns ? new ParquetRows(handle, columns) : new JsonLines(handle);
    const file = new Staged(join(this.writing, path), handle, check, writer);
    this.staged.set(path, file);
    return file;
  }

  private async create(path: string): Promise<FileHandle> {
    const place = join(this.writing, path);
    await mkdir(dirname(place), { recursive: true });
    return open(place, 'w');
  }
}

/** Removes an export, whole or broken off: its files, then the folders that are empty without them. */
export async function removeExport(folder: string): Promise<void> {
  await removeFiles(folder, await previousFiles(folder));
  await removeLeftovers(folder);
  await rm(join(folder, manifestName), { force: true });
  await rm(join(folder, notedName), { force: true });
  await removeEmptyFolder(folder);
}

export const manifestName = 'manifest.json';

/** Says which files are being moved, while they are. */
const notedName = '.publishing.json';

/** What the exports before this one may have put here: what the manifest names, and what was being moved. */
async function previousFiles(folder: string): Promise<readonly string[]> {
  const paths = [
    ...(await pathsIn(join(folder, manifestName))),
    ...(await pathsIn(join(folder, notedName))),
  ];
  // Anyone may have edited them; they never lead out of their folder.
  return [...new Set(paths)].filter((path) => inside(folder, path));
}

/** Whether a path within a folder stays there. */
export function inside(folder: string, path: string): boolean {
  const way = relative(folder, join(folder, path));
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`);
}

/** None if there is no such file, or it is none of ours. */
async function pathsIn(place: string): Promise<readonly string[]> {
  try {
    const { files } = JSON.parse(await readFile(place, 'utf8')) as {
      readonly files: readonly { path: string }[];
    };
    return files.map(({ path }) => path).filter((path) => typeof path === 'string');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== undefined && !isMissing(error)) throw error;
    return [];
  }
}

/** Removes the folders in which processes wrote that are gone; one of our own id was another's before. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    const pid = /^\.writing-(\d+)$/.exec(name)?.[1];
    if (pid === undefined) continue;
    if (Number(pid) !== process.pid && isRunning(Number(pid))) continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

/** The names in a folder in order; none if it is not there. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    const names = await readdir(folder);
    return names.sort();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function removeFiles(folder: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(join(folder, path), { force: true });
  const folders = new Set(paths.flatMap((path) => parents(path)));
  // The deepest first, so that its parent can be empty.
  for (const path of [...folders].sort((one, other) => other.length - one.length)) {
    await removeEmptyFolder(join(folder, path));
  }
}

function parents(path: string): readonly string[] {
  const parent = dirname(path);
  return parent === '.' || parent === path ? [] : [parent, ...parents(parent)];
}

async function removeEmptyFolder(folder: string): Promise<void> {
  try {
    await rmdir(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && code !== 'ENOENT') throw error;
  }
}

const sorted = <Value>(map: ReadonlyMap<string, Value>): readonly (readonly [string, Value])[] =>
  [...map].sort(([one], [other]) => (one < other ? -1 : 1));
