import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { exportAll } from '../../../infra/exports/export.ts';
import {
  defaultExportSettings,
  type ExportSettings,
  type GateSettings,
} from '../../../infra/exports/settings.ts';
import type { Log } from '../../../infra/log/log.ts';
import { filesIn, logOf, request, rowsOf, type Written } from '../support.ts';

/** A folder of its own, gone when the test is over. */
export async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'spar-gates-'));
  onTestFinished(() => rm(made, { recursive: true, force: true }));
  return made;
}

/** A file of a folder of its own. */
export async function fileWith(name: string, text: string): Promise<string> {
  const path = join(await folder(), name);
  await writeFile(path, text);
  return path;
}

export const settingsWith = (
  gates: Partial<GateSettings>,
  others: Partial<ExportSettings> = {},
): ExportSettings => ({
  ...defaultExportSettings,
  ...others,
  gates: { ...defaultExportSettings.gates, ...gates },
});

/** Nothing is asked of a pair but what no trainer could do without. */
export const allOff: GateSettings = {
  ...defaultExportSettings.gates,
  duplicates: { exact: false, near: null },
  phrases: [],
  constraints: false,
  truncated: 'off',
};

export interface Exported {
  /** Instructions of the pairs that were written, in their order. */
  readonly kept: readonly string[];
  /** `id: reason (detail)`, for pairs. */
  readonly rejected: readonly string[];
  readonly manifest: Readonly<Record<string, unknown>>;
  /** Every file by its path. */
  readonly texts: Readonly<Record<string, string>>;
}

/** What becomes of the records under some settings. */
export async function exportedOf(
  written: Partial<Written> | Log,
  settings: ExportSettings,
): Promise<Exported> {
  const out = await mkdtemp(join(tmpdir(), 'spar-gates-'));
  try {
    const log = 'read' in written ? written : await logOf(written);
    await exportAll({ ...request(log, out), settings });
    const texts = Object.fromEntries(
      Object.entries(await filesIn(out)).map(([path, { text }]) => [path, text]),
    );
    return {
      kept: rowsOf(texts['trl/preference/train.jsonl'] ?? '').map(({ chosen }) =>
        (chosen as readonly { readonly content: string }[])[0]!.content.replace(/^chosen /, ''),
      ),
      rejected: rowsOf(texts['rejected.jsonl'] ?? '')
        .filter(({ kind }) => kind === 'preference')
        .map(({ id, reason, detail }) => `${String(id)}: ${String(reason)} (${String(detail)})`),
      manifest: JSON.parse(texts['manifest.json']!) as Readonly<Record<string, unknown>>,
      texts,
    };
  } finally {
    await rm(out, { recursive: true });
  }
}
