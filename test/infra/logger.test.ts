import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createLogger, type Logger } from '../../infra/logger.ts';

/** What was written, one line each. */
function logged(
  settings: { readonly level?: string; readonly secrets?: () => readonly string[] },
  write: (logger: Logger) => void,
): readonly Readonly<Record<string, unknown>>[] {
  const folder = mkdtempSync(join(tmpdir(), 'spar-logger-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  // The folder is made where it is missing.
  const file = join(folder, 'logs', 'spar.log');
  write(createLogger({ level: 'info', secrets: () => [], ...settings, file }));
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
}

describe('a secret is never written', () => {
  const secret = 'sk-a"b\\c-0123456789';
  test.each<[string, (logger: Logger) => void]>([
    ['in a message', (logger) => logger.info(`key ${secret}`)],
    ['in a field', (logger) => logger.info({ answer: `you sent ${secret}` }, 'model.refused')],
    ['deep in a field', (logger) => logger.info({ a: { b: [{ c: secret }] } }, 'model.refused')],
    ['in an error', (logger) => logger.error(new Error(`bad key ${secret}`))],
    [
      'in the cause of an error',
      (logger) =>
        logger.error({ err: new Error('refused', { cause: new Error(secret) }) }, 'model.refused'),
    ],
    ['as a name', (logger) => logger.info({ [secret]: 1 }, 'model.refused')],
  ])('%s', (_name, write) => {
    const lines = logged({ secrets: () => [secret] }, write);
    expect(lines).toHaveLength(1);
    expect(JSON.stringify(lines)).toContain('[redacted]');
    expect(JSON.stringify(lines)).not.toContain('0123456789');
  });

  test('nor is one that became known later, such as a token that was renewed', () => {
    const secrets: string[] = [];
    const lines = logged({ secrets: () => secrets }, (logger) => {
      secrets.push('renewed-token');
      logger.info({ answer: 'you sent renewed-token' }, 'broker.refused');
    });
    expect(lines).toMatchObject([{ answer: 'you sent [redacted]' }]);
  });

  test.each(['apiKey', 'api_key', 'authorization'])('under the name %s, known or not', (name) => {
    const lines = logged({}, (logger) => {
      logger.info({ [name]: 'unheard of', endpoint: { [name]: 'unheard of' } }, 'endpoint.opened');
    });
    expect(lines).toMatchObject([{ [name]: '[redacted]', endpoint: { [name]: '[redacted]' } }]);
  });
});

test.each([
  ['debug', ['debug', 'info', 'warn', 'error']],
  ['info', ['info', 'warn', 'error']],
  ['error', ['error']],
])('the level %s lets through what is as grave', (level, expected) => {
  const lines = logged({ level }, (logger) => {
    for (const name of ['debug', 'info', 'warn', 'error'] as const) logger[name](name);
  });
  expect(lines.map(({ msg }) => msg)).toEqual(expected);
});

test('events have their fields beside them, and nothing of this machine', () => {
  const [line] = logged({}, (logger) =>
    logger.info({ stage: 'judge', attempts: 2 }, 'record.retried'),
  );
  expect(line).toEqual({
    level: 30,
    time: expect.any(Number),
    stage: 'judge',
    attempts: 2,
    msg: 'record.retried',
  });
});
