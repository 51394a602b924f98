/**
 * Text that came from outside, made safe for one line of a terminal or a log: no control characters (they could
 * move the cursor or change colours), no bidirectional overrides, and bounded.
 */
export function oneLine(text: string, length = 160): string {
  const flat = text
    .slice(0, length * 4)
    .replaceAll(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069\s]+/gu, ' ')
    .trim();
  // Half a character at the cut would be no text any more.
  return flat.length > length
    ? `${flat.slice(0, length - 1).replace(/[\ud800-\udbff]$/, '')}…`
    : flat;
}

/** The same for text that keeps its lines. */
export const manyLines = (text: string): string =>
  text
    .replaceAll(/\r\n?/g, '\n')
    .replaceAll(/[^\P{Cc}\n\t]|[\p{Cs}\u202a-\u202e\u2066-\u2069]/gu, '\ufffd');

/** Secrets shorter than this would censor ordinary words. */
const shortestSecret = 6;

/** The longest go first, since one may begin with another. */
export const withoutSecrets = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter(({ length }) => length >= shortestSecret)
    .toSorted((a, b) => b.length - a.length)
    .reduce((clean, secret) => clean.replaceAll(secret, '[redacted]'), text);

/** With one full stop at its end, whatever it ended with. */
export const sentence = (text: string): string => (/[.?!…]$/.test(text) ? text : `${text}.`);

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
