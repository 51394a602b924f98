import { readFileSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';

/** What a file holds that somebody named. @throws UsageError that begins with `where` if it cannot be read */
export function fileText(where: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${where} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
