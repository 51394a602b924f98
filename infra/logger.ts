import { pino, type Logger as PinoLogger } from 'pino';
import { withoutSecrets } from './text.ts';

/** Events are a noun and a past verb (`record.retried`); details are fields beside it. */
export type Logger = Pick<PinoLogger, 'debug' | 'info' | 'warn' | 'error'>;

export interface LoggerSettings {
  readonly level: string;
  /** A file that is appended to; null for standard error. */
  readonly file: string | null;
  /** Values that must never be written, wherever they turn up; more may come in time. */
  readonly secrets: () => readonly string[];
}

export function createLogger({ level, file, secrets }: LoggerSettings): Logger {
  // A line is JSON, where a quote or a backslash of a key looks different.
  const spellings = () =>
    secrets().flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)]);
  const sink = pino.destination(
    file === null ? { dest: 2, sync: true } : { dest: file, mkdir: true, sync: true },
  );
  // A log line that finds no room on the disk is lost; what it tells of must go on, and says so itself if it cannot.
  sink.on('error', () => undefined);
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
        streamWrite: (line) => withoutSecrets(line, spellings()),
      },
    },
    sink,
  );
}

export const silentLogger: Logger = pino({ level: 'silent' });
