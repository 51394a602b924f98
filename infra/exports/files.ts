import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readFile, rename, rm, rmdir, type FileHandle } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { lines } from '../input/pieces.ts';

/** A file of an export, by its path within the folder; `rows` is null where it holds none. */
export interface ExportedFile {
  readonly path: string;
  readonly rows: number | null;
  readonly bytes: number;
  readonly sha256: string;
}

/** What a row must look like to the loader that will read it; null if it does. */
export type RowCheck = (row: unknown) => string | null;

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

  /** Adds a row to a file of one JSON object a line; the first row opens it. */
  async addRow(path: string, row: unknown, check: RowCheck): Promise<void> {
    const file = await this.stage(path, check);
    file.rows += 1;
    await file.write(`${escaped(JSON.stringify(row, wellFormed))}\n`);
  }

  async addText(path: string, text: string): Promise<void> {
    const file = await this.stage(path, null);
    await file.write(text);
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
      await file.close();
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

  private async stage(path: string, check: RowCheck | null): Promise<Staged> {
    const known = this.staged.get(path);
    if (known) return known;
    const place = temporary(this.place(path));
    await mkdir(dirname(place), { recursive: true });
    const file = new Staged(place, await open(place, 'w'), check);
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

const manifestName = 'manifest.json';

const temporary = (place: string): string => `${place}.part`;

/** Writes gather in memory until there are this many characters. */
const bufferedMax = 256 * 1024;

/** A temporary file under way. */
class Staged {
  readonly place: string;
  readonly check: RowCheck | null;
  rows = 0;
  private readonly handle: FileHandle;
  private buffered = '';
  private closed = false;

  constructor(place: string, handle: FileHandle, check: RowCheck | null) {
    this.place = place;
    this.handle = handle;
    this.check = check;
  }

  async write(text: string): Promise<void> {
    this.buffered += text;
    if (this.buffered.length >= bufferedMax) await this.flush();
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    try {
      await this.flush();
      await this.handle.sync();
    } finally {
      await this.handle.close();
    }
  }

  private async flush(): Promise<void> {
    const text = this.buffered;
    this.buffered = '';
    await this.handle.appendFile(text);
  }
}

/**
 * Loaders drop a row that they do not like with a warning at most, so every row is read back as they would.
 */
async function readBack(path: string, file: Staged): Promise<ExportedFile> {
  const hash = createHash('sha256');
  let bytes = 0;
  let rows = 0;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of createReadStream(file.place)) {
      const part = chunk as Uint8Array; // No encoding is set, so it is bytes.
      hash.update(part);
      bytes += part.length;
      yield part;
    }
  }
  for await (const line of lines(watched(), Number.POSITIVE_INFINITY)) {
    if (!file.check || !line.bytes) continue;
    rows += 1;
    const problem = file.check(JSON.parse(Buffer.from(line.bytes).toString()));
    if (problem !== null) throw new Error(`${path}:${line.line}: ${problem}`);
  }
  if (rows !== file.rows) {
    throw new Error(`${path}: ${file.rows} rows were written, ${rows} can be read back`);
  }
  return { path, rows: file.check ? rows : null, bytes, sha256: hash.digest('hex') };
}

async function replace(from: string, to: string, sha256: string): Promise<void> {
  if ((await sha256Of(to)) === sha256) await rm(from);
  else await rename(from, to);
}

async function sha256Of(place: string): Promise<string | null> {
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
  return pathsIn(text).filter((path) => {
    // Anyone may have edited the manifest; it never leads out of its folder.
    const inside = relative(folder, join(folder, path));
    return inside !== '' && inside !== '..' && !inside.startsWith(`..${sep}`);
  });
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

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

const sorted = <Value>(map: ReadonlyMap<string, Value>): readonly (readonly [string, Value])[] =>
  [...map].sort(([one], [other]) => (one < other ? -1 : 1));

/** Arrow refuses half of a surrogate pair, and with it the whole file. */
const wellFormed = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.toWellFormed() : value;

/** Readers that split text at every Unicode line end would cut a row in two. */
const escaped = (json: string): string =>
  json.replaceAll(
    /[\u0085\u2028\u2029]/g,
    (mark) => `\\u${mark.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
