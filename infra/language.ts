import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

type Detector = (typeof import('eld/medium'))['eld'];

let detector: Detector | null = null;

/**
 * eld's detector with its middle-sized data, for 60 languages. It takes most of a second and 180 MB, so it is loaded
 * when somebody first asks for a language.
 */
export const languageDetector = (): Detector => (detector ??= load());

/** eld has no entry for `require`, which can load a module at once; its entry for `import` is such a module. */
function load(): Detector {
  const entry = fileURLToPath(import.meta.resolve('eld/medium'));
  const { eld } = createRequire(import.meta.url)(entry) as typeof import('eld/medium');
  return eld;
}
