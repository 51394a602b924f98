import { readFileSync } from 'node:fs';
import { isMap, isScalar, LineCounter, parseDocument, type Document } from 'yaml';
import { UsageError } from '../errors.ts';
import { messageOf } from '../text.ts';
import { checkConfig, type Config, type ConfigProblem } from './schema.ts';

/** Settings by path, such as `['models', 'default', 'url']`, from flags or the environment. */
export interface Override {
  /** What set it, for messages: `--model-url` or `SPAR_MODEL_URL`. */
  readonly from: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * Flag > environment > file > default.
 *
 * @param overrides in rising order of precedence
 * @throws UsageError with file, line and column of every problem
 */
export function loadConfig(file: string | null, overrides: readonly Override[]): Config {
  const lines = new LineCounter();
  const document = file === null ? null : parse(file, lines);
  const plain = plainOf(document, file);
  const base = typeof plain === 'object' && plain !== null && !Array.isArray(plain) ? plain : null;
  if (!base)
    throw new UsageError(`${file ?? ''}:1:1: expected settings by name, such as "seed: 1"`);
  const merged = structuredClone(base) as Record<string, unknown>;
  for (const { path, value } of overrides) set(merged, path, value);
  const result = checkConfig(merged);
  if ('config' in result) return result.config;
  throw new UsageError(
    result.problems
      .map(
        (problem) => `${placeOf(problem, file, document, lines, overrides)}: ${wordsOf(problem)}`,
      )
      .join('\n'),
  );
}

function parse(file: string, lines: LineCounter): Document {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`the config ${file} cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
  const document = parseDocument(text, { lineCounter: lines });
  const [problem] = document.errors;
  if (problem) {
    const { line, col } = lines.linePos(problem.pos[0]);
    throw new UsageError(`${file}:${line}:${col}: ${problem.message.split('\n')[0]}`);
  }
  return document;
}

function placeOf(
  { path, wrong }: ConfigProblem,
  file: string | null,
  document: Document | null,
  lines: LineCounter,
  overrides: readonly Override[],
): string {
  const override = overrides.findLast((one) => one.path.join('.') === path.join('.'));
  if (override) return override.from;
  // A missing or unknown key may have no node of its own; then the nearest one above says where.
  for (let depth = path.length; depth > 0; depth--) {
    const node =
      wrong === 'name'
        ? keyNode(document, path.slice(0, depth))
        : (document?.getIn(path.slice(0, depth), true) as Placed | undefined);
    if (!node?.range) continue;
    const { line, col } = lines.linePos(node.range[0]);
    return `${file ?? 'config'}:${line}:${col}`;
  }
  return file ?? 'config';
}

function plainOf(document: Document | null, file: string | null): unknown {
  try {
    return document?.toJS() ?? {};
  } catch (error) {
    // References are followed only now: to what is nowhere, or so often that they would fill the memory.
    throw new UsageError(`${file ?? 'config'}: ${messageOf(error)}`, { cause: error });
  }
}

interface Placed {
  readonly range?: readonly [number, ...number[]];
}

/** The name itself, where `getIn` finds what it is set to. */
function keyNode(
  document: Document | null,
  path: readonly (string | number)[],
): Placed | undefined {
  const parent = path.length === 1 ? document?.contents : document?.getIn(path.slice(0, -1), true);
  if (!isMap(parent)) return undefined;
  const pair = parent.items.find(({ key }) => isScalar(key) && key.value === path.at(-1));
  return pair?.key as Placed | undefined;
}

const wordsOf = ({ path, message }: ConfigProblem): string =>
  `${path.join('.') || 'the whole'}: ${message}`;

function set(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const inner = target[name];
  const next = typeof inner === 'object' && inner !== null ? inner : {};
  target[name] = next;
  set(next as Record<string, unknown>, rest, value);
}
