import { pino, type Logger as PinoLogger } from 'pino';

/** Events are a noun and a past verb (`record.retried`); details are fields beside it. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>;

export interface LoggerSettings {
  readonly level: string;
  /** A file that is appended to; null for standard error. */
  readonly file: string | null;
  /** Values that must never be written, wherever they turn up. */
  readonly secrets: readonly string[];
}

export function createLogger({ level, file, secrets }: LoggerSettings): Logger {
  return pino(
    {
      level,
      base: null,
      redact: {
        paths: ['apiKey', 'api_key', 'authorization', '*.apiKey', '*.api_key', '*.authorization'],
        censor: '[redacted]',
      },
      hooks: {
        // A key may come back inside an error message of a server, where no path finds it.
        streamWrite: (line) => withoutSecrets(line, secrets),
      },
    },
    pino.destination(
      file === null ? { dest: 2, sync: true } : { dest: file, mkdir: true, sync: true },
    ),
  );
}

export const silentLogger: Logger = pino({ level: 'silent' });

/** Secrets shorter than this would censor ordinary words. */
const shortestSecret = 6;

export const withoutSecrets = (text: string, secrets: readonly string[]): string =>
  secrets
    .filter(({ length }) => length >= shortestSecret)
    .reduce((clean, secret) => clean.replaceAll(secret, '[redacted]'), text);
