import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RunError } from '../errors.ts';
import { readData } from './data-file.ts';
import { inside, manifestName, namesIn, type ExportedFile } from './files.ts';
import { isMissing, sha256Of } from './read-back.ts';
import { kinds, splits, type Format, type RowSet } from './format.ts';
import { formatsOf } from './formats.ts';
import { informationProblem } from './llamafactory.ts';
import { defaultExportSettings, exportFormats } from './settings.ts';
import { wholePath } from './shards.ts';

/** What was found out about the files of an export. */
export interface CheckReport {
  readonly folder: string;
  /** Whether the iteration was finished when they were written. */
  readonly complete: boolean;
  readonly files: readonly CheckedFile[];
  readonly problems: readonly ExportProblem[];
}

export interface CheckedFile {
  readonly path: string;
  /** Null where it holds none. */
  readonly rows: number | null;
  /** The first row, as its loader has it; null where there is none. */
  readonly first: unknown;
}

export interface ExportProblem {
  readonly file: string;
  /** The line of a row, or its number in Parquet, from 1; null if it is the whole file's. */
  readonly line: number | null;
  readonly what: string;
  readonly remedy: string;
}

/**
 * Loads the files of an export the way their trainers do: keys, types and turns of every row, counts and hashes
 * against the manifest, and whether a folder holds what a loader would take for data.
 *
 * @throws RunError if the folder holds no export.
 */
export async function checkExport(folder: string): Promise<CheckReport> {
  const { complete, files } = await manifestIn(folder);
  const checked = [];
  const problems: ExportProblem[] = [];
  for (const file of files) {
    const found = await checkFile(folder, file);
    checked.push(found.checked);
    problems.push(...found.problems);
  }
  problems.push(...(await strayFiles(folder, files)));
  return { folder, complete, files: checked, problems };
}

interface Manifest {
  readonly complete: boolean;
  readonly files: readonly ExportedFile[];
}

async function manifestIn(folder: string): Promise<Manifest> {
  const place = join(folder, manifestName);
  let text: string;
  try {
    text = await readFile(place, 'utf8');
  } catch (error) {
    if (!isMissing(error)) throw error;
    throw new RunError(
      `${folder} has no ${manifestName}, so it is no whole export: name a folder that spar export or spar run wrote, or its partial/`,
      { cause: error },
    );
  }
  const manifest = parsed(text) as Partial<Manifest> | null;
  const files = manifest?.files;
  if (!Array.isArray(files) || !files.every(isEntry)) {
    throw new RunError(`${place} is no manifest of ours: export again`);
  }
  return {
    complete: manifest?.complete === true,
    // Anyone may have edited it; it never leads out of its folder.
    files: files.filter(({ path }) => inside(folder, path)),
  };
}

const isEntry = (value: unknown): value is ExportedFile => {
  if (typeof value !== 'object' || value === null) return false;
  const { path, sha256 } = value as Partial<ExportedFile>;
  return typeof path === 'string' && typeof sha256 === 'string';
};

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const again = 'export again';

async function checkFile(
  folder: string,
  { path, rows, sha256 }: ExportedFile,
): Promise<{ readonly checked: CheckedFile; readonly problems: readonly ExportProblem[] }> {
  const place = join(folder, path);
  const problem = (line: number | null, what: string, remedy: string): ExportProblem => ({
    file: path,
    line,
    what,
    remedy,
  });
  const hash = await sha256Of(place);
  if (hash === null) {
    return {
      checked: { path, rows: null, first: null },
      problems: [problem(null, 'it is not there', again)],
    };
  }
  const changed =
    hash === sha256
      ? []
      : [problem(null, 'it was changed since it was written', 'export again, unless you meant it')];
  const set = setOf(path);
  if (!set) {
    const { what, remedy } = await otherProblem(folder, path);
    // What it says is for people to change: a model, a batch size.
    const problems = what === null ? [] : [problem(null, what, remedy)];
    return { checked: { path, rows: null, first: null }, problems };
  }
  const data = await readData(place, set.check);
  return {
    checked: { path, rows: data.rows, first: data.first },
    problems: [
      ...changed,
      ...data.problems.map(({ line, what }) =>
        problem(line, what, line === null ? again : 'mend or remove the row, or export again'),
      ),
      ...(data.rows === rows
        ? []
        : [problem(null, `it has ${data.rows} rows, the manifest says ${rows ?? 0}`, again)]),
    ],
  };
}

/** What the loader makes of a data file, or of a shard of it; null if it is none. */
function setOf(file: string): Pick<RowSet<never>, 'check'> | null {
  const path = wholePath(file);
  for (const format of formats) {
    for (const kind of kinds) {
      if (splits.some((split) => format.path(kind, split) === path)) {
        return format.sets[kind] ?? null;
      }
    }
  }
  return null;
}

/** No check depends on what the configurations name. */
const formats: readonly Format[] = formatsOf(exportFormats, defaultExportSettings);

async function otherProblem(
  folder: string,
  path: string,
): Promise<{ readonly what: string | null; readonly remedy: string }> {
  if (!path.endsWith('dataset_info.json')) return { what: null, remedy: '' };
  const place = join(folder, path);
  const names = await namesIn(dirname(place));
  return { what: informationProblem(parsed(await readFile(place, 'utf8')), names), remedy: again };
}

/** A folder is a data set to `datasets`: whatever else is in it becomes a part of it. */
async function strayFiles(
  folder: string,
  files: readonly ExportedFile[],
): Promise<readonly ExportProblem[]> {
  const known = new Set(files.map(({ path }) => path));
  const folders = new Set(
    files.filter(({ path }) => isDataFolder.test(path)).map(({ path }) => dirname(path)),
  );
  const problems: ExportProblem[] = [];
  for (const path of [...folders].sort()) {
    for (const name of await namesIn(join(folder, path))) {
      const file = `${path}/${name}`;
      if (known.has(file)) continue;
      problems.push({
        file,
        line: null,
        what: 'it is not of this export, and a loader would take it for data',
        remedy: 'move it elsewhere',
      });
    }
  }
  return problems;
}

const isDataFolder = /^(trl|openrlhf|huggingface|raw)\/[^/]+\//;
