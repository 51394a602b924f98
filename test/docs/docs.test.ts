import { Command, CommanderError } from 'commander';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProgram } from '../../infra/cli/main.ts';
import { overridesOf } from '../../infra/cli/options.ts';
import { loadConfig } from '../../infra/config/load.ts';
import { generatedPages } from '../../infra/scripts/docs.ts';

const root = join(import.meta.dirname, '../..');
const pages = globSync(['*.md', 'docs/**/*.md', 'examples/*.md'], { cwd: root }).toSorted();
const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Fenced blocks of a page: their language and their lines. */
const blocksOf = (text: string): readonly { readonly language: string; readonly code: string }[] =>
  [...text.matchAll(/^( *)```(\w*)\n([\s\S]*?)^\1```/gm)].map(([, , language = '', code = '']) => ({
    language,
    code,
  }));
const proseOf = (text: string): string => text.replaceAll(/^( *)```[\s\S]*?^\1```/gm, '');
const spansOf = (text: string): readonly string[] =>
  [...proseOf(text).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

describe('pages that are made from the sources', async () => {
  const generated = await generatedPages();

  test.each(Object.keys(generated))('%s is what npm run docs makes', (path) => {
    expect(textOf(path), 'npm run docs mends this').toBe(generated[path]);
  });

  test('every setting says what it is', () => {
    const rows = (generated['docs/settings.md'] ?? '')
      .split('\n')
      .filter((line) => line.startsWith('| `') && !line.startsWith('| `--'));
    expect(rows.length).toBeGreaterThan(50);
    expect(rows.filter((row) => /\|\s*\|$/.test(row))).toEqual([]);
  });

  test('the variables of the environment set what the table says', () => {
    const rows = [
      ...(generated['docs/settings.md'] ?? '').matchAll(
        /^\| `(--[\w-]+)` +\| `(SPAR_\w+)` +\| `([\w.]+)` +\|$/gm,
      ),
    ];
    expect(rows.length).toBeGreaterThan(4);
    for (const [, , variable = '', path = ''] of rows) {
      const overrides = overridesOf(new Command(), { [variable]: '1' });
      expect(overrides.map((override) => override.path.join('.'))).toEqual([path]);
    }
  });
});

/** The anchor that a heading gets on the usual hosts. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(/\s/g, '-');
const anchorsOf = (text: string): readonly string[] =>
  [...proseOf(text).matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => anchorOf(heading));

test.each(pages)('%s: every relative link leads somewhere', (page) => {
  const targets = [...proseOf(textOf(page)).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));
  const broken = targets.filter((target) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(root, file))) return true;
    return anchor !== undefined && !anchorsOf(textOf(file)).includes(anchor);
  });
  expect(broken).toEqual([]);
});

/** What is typed after `spar`, word by word; empty if the text is no such command. */
function typedIn(command: string): readonly string[] {
  const [, typed = ''] =
    /^(?:\$ )?(?:npm run (?:-s |--silent )?spar --|npx spar|spar)\s+(.*)$/.exec(command.trim()) ??
    [];
  return [...typed.replace(/ #.*$/, '').matchAll(/"[^"]*"|'[^']*'|\S+/g)]
    .map(([word]) => word.replaceAll(/^["']|["']$/g, ''))
    .flatMap((word, index, words) =>
      /^[<>]/.test(word) || words[index - 1] === '>' ? [] : [word],
    );
}

/** Every command line in the blocks of a page, and every `spar …` within its sentences. */
function examplesIn(text: string): readonly (readonly [line: string, whole: boolean])[] {
  const typed = blocksOf(text)
    .filter(({ language }) => ['', 'sh', 'console'].includes(language))
    .flatMap(({ code }) => code.replaceAll('\\\n', ' ').split('\n'))
    .flatMap((line) => line.split(/\s(?:\||&&|&)\s/))
    .map((line) => [line, true] as const);
  const said = spansOf(text).map((line) => [line, false] as const);
  return [...typed, ...said].filter(([line]) => typedIn(line).length > 0);
}

/** What commander has against the words; null if it would run them. */
function complaintAbout(words: readonly string[], whole: boolean): string | null {
  const program = createProgram();
  const silence = (command: Command): void => {
    command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    if (command.commands.length === 0) command.action(() => undefined);
    for (const inner of command.commands) silence(inner);
  };
  silence(program);
  try {
    program.parse(
      words.filter((word) => word !== '…'),
      { from: 'user' },
    );
    return null;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0 || error.code === 'commander.help') return null;
    // A command that is only spoken of need not be complete.
    const named = ['commander.missingArgument', 'commander.missingMandatoryOptionValue'].includes(
      error.code,
    );
    return named && (!whole || words.includes('…')) ? null : error.message;
  }
}

test.each(pages)('%s: every spar command exists, with its flags', (page) => {
  const wrong = examplesIn(textOf(page)).flatMap(([line, whole]) => {
    const complaint = complaintAbout(typedIn(line), whole);
    return complaint === null ? [] : [`${line}: ${complaint}`];
  });
  expect(wrong).toEqual([]);
});

test.each([
  ['no such command', ['walk'], true, /unknown command/],
  ['no such flag', ['run', 'x', '--fast'], true, /unknown option/],
  ['a value that cannot be', ['run', 'x', '--limit', 'many'], true, /limit/],
  ['no such subcommand', ['dead-letters', 'bury'], true, /unknown command|too many/],
  ['an argument too few', ['run'], true, /missing/],
] as const)('a bad example would be found: %s', (_name, words, whole, complaint) => {
  expect(complaintAbout(words, whole)).toMatch(complaint);
});

test('README shows the commands that there are', () => {
  const shown = examplesIn(textOf('README.md')).map(([line]) => typedIn(line)[0]);
  const there = createProgram().commands.map((command) => command.name());
  expect(there.filter((name) => !shown.includes(name))).toEqual([]);
});

test.each(pages)('%s: every npm script exists', (page) => {
  const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
  const named = [...textOf(page).matchAll(/npm run (?:-s |--silent )?([\w:-]+)/g)].map(
    ([, name = '']) => name,
  );
  expect(named.filter((name) => !Object.hasOwn(scripts, name))).toEqual([]);
});

test.each(
  pages.flatMap((page) =>
    blocksOf(textOf(page))
      .filter(({ language }) => language === 'yaml')
      .map(({ code }, index) => ({ page, index, code })),
  ),
)('$page: YAML example $index is a config that a run would take', ({ code }) => {
  const folder = mkdtempSync(join(tmpdir(), 'spar-docs-'));
  try {
    writeFileSync(join(folder, 'spar.yaml'), code);
    expect(() => loadConfig(join(folder, 'spar.yaml'), [])).not.toThrow();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
