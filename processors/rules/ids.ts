/**
 * A full id names a thing of an iteration: `iteration/instruction`, with `/tree` and `/node` where they apply.
 * A part may hold any text: its `%` and `/` are escaped, so that no two things share an id.
 */
export const fullId = (...parts: readonly string[]): string =>
  parts.map((part) => part.replaceAll('%', '%25').replaceAll('/', '%2F')).join('/');

/** The parts that `fullId` joined. */
export const partsOf = (id: string): readonly string[] =>
  id.split('/').map((part) => part.replaceAll('%2F', '/').replaceAll('%25', '%'));
