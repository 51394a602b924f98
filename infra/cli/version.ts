import { existsSync, readFileSync } from 'node:fs';

/** Of the package: two folders up from the source, three from what is built. */
export const version: string = (() => {
  for (const up of ['../../package.json', '../../../package.json']) {
    const file = new URL(up, import.meta.url);
    if (!existsSync(file)) continue;
    return String((JSON.parse(readFileSync(file, 'utf8')) as { version: unknown }).version);
  }
  return 'unknown';
})();
