import pc from 'picocolors';
import { fileText } from '../config/file-text.ts';
import type { Config } from '../config/schema.ts';
import { RunError, UsageError } from '../errors.ts';
import type { ExportReport } from '../exports/export.ts';
import { pushExport } from '../exports/hub.ts';
import { oneLine } from '../text.ts';
import { counted, jsonLine, print } from './output.ts';

/** What `spar export` needs to know to push. */
export interface PushFlags {
  readonly format?: Config['export']['formats'];
  readonly push?: string;
  readonly public?: true;
  readonly tokenFile?: string;
  readonly follow?: true;
  readonly json?: true;
}

/** Only what is pushed needs files for a hub. */
export const formatsFor = (
  { format, push }: PushFlags,
  config: Config,
): Config['export']['formats'] => {
  const formats = format ?? config.export.formats;
  return push === undefined || formats.includes('huggingface')
    ? formats
    : [...formats, 'huggingface'];
};

/** @throws UsageError before anything is done, if the push could not be. */
export function tokenFor({ push, follow, tokenFile }: PushFlags): string {
  if (!/^[\w.-]+\/[\w.-]+$/.test(push ?? '')) {
    throw new UsageError(`--push ${oneLine(push ?? '')}: expected OWNER/NAME of a data set`);
  }
  if (follow) throw new UsageError('--push goes without --follow: a part is never pushed');
  const token =
    tokenFile === undefined ? process.env['HF_TOKEN'] : fileText('--token-file', tokenFile).trim();
  if (!token) {
    throw new UsageError(
      'to push, set HF_TOKEN, or name a file that holds the token: --token-file',
    );
  }
  return token;
}

/** @throws RunError if not all is there, or the hub refuses. */
export async function push(
  { folder, files }: ExportReport,
  complete: boolean,
  token: string,
  flags: PushFlags,
): Promise<void> {
  const repository = flags.push ?? '';
  if (!complete) {
    throw new RunError(
      `the iteration is not finished, and a part is never pushed: nothing went to ${repository}`,
    );
  }
  const pushed = await pushExport({
    repository,
    token,
    url: process.env['HF_ENDPOINT']?.replace(/\/+$/, '') ?? null,
    isPublic: flags.public === true,
    folder,
    files,
  });
  const { uploaded, removed, commit } = pushed;
  await print(
    flags.json
      ? jsonLine({ pushed })
      : `${pc.bold(counted(uploaded.length, 'file'))} pushed to ${repository}${removed.length === 0 ? '' : `, ${removed.length} removed`}${commit === null ? '' : `: ${oneLine(commit, 200)}`}\n`,
  );
}
