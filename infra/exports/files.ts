import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { lines } from '../input/pieces.ts';
import { isParquet, ParquetRows, parquetRows, type Columns } from './parquet.ts';
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
 * A set of files that is published together. Each is written to a temporary file beside its place and read back;
 * `publish` then moves those into place whose content is new, removes what only the export before had, and writes
 * the manifest last. So a reader never sees half a file, and nothing is touched where nothing changed.
 */
export class Publication {
  private readonly folder: string;
  private readonly staged = new Map<string, Staged>();

  constructor(folder: string) {
    this.folder = folder;
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
   * @throws Error if what was read back is not what was written.
   */
  async publish(manifest: object): Promise<readonly ExportedFile[]> {
    const files: ExportedFile[] = [];
    for (const [path, file] of sorted(this.staged)) {
      await file.close();
      files.push(await readBack(path, file));
    }
    for (const { path, sha256 } of files) {
      await replace(temporary(this.place(path)), this.place(path), sha256);
    }
    this.staged.clear();
    await removeFiles(
      this.folder,
      (await previousFiles(this.folder)).filter(
        (path) => !files.some((file) => file.path === path),
      ),
    );
    await this.writeManifest({ ...manifest, files });
    return files;
  }

  /** Removes the temporary files of what was not published. */
  async abandon(): Promise<void> {
    for (const [path, file] of this.staged) {
      await file.drop();
      await rm(temporary(this.place(path)), { force: true });
    }
    this.staged.clear();
  }

  private async writeManifest(manifest: object): Promise<void> {
    const place = this.place(manifestName);
    const text = `${JSON.stringify(manifest, null, 2)}\n`;
    await mkdir(this.folder, { recursive: true });
    const handle = await open(temporary(place), 'w');
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await replace(temporary(place), place, createHash('sha256').update(text).digest('hex'));
  }

  private async open(path: string, check: RowCheck | null, columns?: Columns): Promise<Staged> {
    const place = temporary(this.place(path));
    await mkdir(dirname(place), { recursive: true });
    const handle = await open(place, 'w');
    const writer = columns ? new ParquetRows(handle, columns) : new JsonLines(handle);
    const file = new Staged(place, handle, check, writer);
    this.staged.set(path, file);
    return file;
  }

  private place(path: string): string {
    return join(this.folder, path);
  }
}

/** Removes an export: the files that its manifest names, then the folders that are empty without them. */
export async function removeExport(folder: string): Promise<void> {
  await removeFiles(folder, await previousFiles(folder));
  await rm(join(folder, manifestName), { force: true });
  await removeEmptyFolder(folder);
}

export const manifestName = 'manifest.json';

const temporary = (place: string): string => `${place}.part`;

/**
 * Loaders drop a row that they do not like with a warning at most, so every row is read back as they would.
 */
async function readBack(path: string, file: Staged): Promise<ExportedFile> {
  const { rows, bytes, sha256 } = await (isParquet(path)
    ? readParquet(path, file)
    : readLines(path, file));
  if (rows !== file.rows) {
    throw new Error(`${path}: ${file.rows} rows were written, ${rows} can be read back`);
  }
  return { path, rows: file.check ? rows : null, bytes, sha256 };
}

type Found = Pick<ExportedFile, 'bytes' | 'sha256'> & { readonly rows: number };

async function readLines(path: string, { place, check }: Staged): Promise<Found> {
  const hash = createHash('sha256');
  let bytes = 0;
  let rows = 0;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(place)) {
      const part = chunk as Uint8Array; // No encoding is set, so it is bytes.
      hash.update(part);
      bytes += part.length;
      yield part;
    }
  }
  for await (const line of lines(watched(), Number.POSITIVE_INFINITY)) {
    if (!check || !line.bytes) continue;
    rows += 1;
    refuse(path, line.line, check(JSON.parse(Buffer.from(line.bytes).toString())));
  }
  return { rows, bytes, sha256: hash.digest('hex') };
}

async function readParquet(path: string, { place, check }: Staged): Promise<Found> {
  let rows = 0;
  for await (const row of parquetRows(place)) {
    rows += 1;
    refuse(path, rows, check?.(row) ?? null);
  }
  const { size } = await stat(place);
  return { rows, bytes: size, sha256: (await sha256Of(place)) ?? '' };
}

function refuse(path: string, line: number, problem: string | null): void {
  if (problem !== null) throw new Error(`${path}:${line}: ${problem}`);
}

async function replace(from: string, to: string, sha256: string): Promise<void> {
  if ((await sha256Of(to)) === sha256) await rm(from);
  else await rename(from, to);
}

/** Null if there is no such file. */
export async function sha256Of(place: string): Promise<string | null> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(place)) hash.update(chunk as Uint8Array);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  return hash.digest('hex');
}

/** The paths that the manifest of the export before names; none if there is no manifest of ours. */
async function previousFiles(folder: string): Promise<readonly string[]> {
  let text: string;
  try {
    text = await readFile(join(folder, manifestName), 'utf8');
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  // Anyone may have edited the manifest; it never leads out of its folder.
  return pathsIn(text).filter((path) => inside(folder, path));
}

/** Whether a path within a folder stays there. */
export function inside(folder: string, path: string): boolean {
  const way = relative(folder, join(folder, path));
  return way !== '' && way !== '..' && !way.startsWith(`..${sep}`);
}

function pathsIn(manifest: string): readonly string[] {
  try {
    const { files } = JSON.parse(manifest) as { readonly files: readonly { path: string }[] };
    return files.map(({ path }) => path).filter((path) => typeof path === 'string');
  } catch {
    return [];
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

export const isMissing = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ENOENT';

const sorted = <Value>(map: ReadonlyMap<string, Value>): readonly (readonly [string, Value])[] =>
  [...map].sort(([one], [other]) => (one < other ? -1 : 1));
