import pc from 'picocolors';
import type { Message } from '../../schemas/records.ts';
import type { CheckReport, CheckedFile, ExportProblem } from '../exports/check.ts';
import { isTurn } from '../exports/format.ts';
import { oneLine, sentence } from '../text.ts';
import { counted } from './output.ts';

/** The report for people: every data file with its first row, then what is wrong. */
export function checkText({ folder, complete, files, problems }: CheckReport): string {
  const data = files.filter(({ rows }) => rows !== null);
  return [
    ...data.flatMap((file) => fileLines(file, problems)),
    ...problems.map(problemLine),
    problems.length === 0
      ? `${pc.bold(counted(data.length, 'data file'))} in ${oneLine(folder, 200)} can be loaded as they are.`
      : `${pc.bold(counted(problems.length, 'problem'))} in ${oneLine(folder, 200)}.`,
    ...(complete ? [] : [pc.yellow('The iteration was not finished, so this is a part.')]),
    '',
  ].join('\n');
}

function fileLines(
  { path, rows, first }: CheckedFile,
  problems: readonly ExportProblem[],
): readonly string[] {
  const found = problems.filter(({ file }) => file === path).length;
  const standing = found === 0 ? pc.green('good') : pc.red(counted(found, 'problem'));
  return [`${oneLine(path, 200)}  ${counted(rows ?? 0, 'row')}  ${standing}`, ...rowLines(first)];
}

function problemLine({ file, line, what, remedy }: ExportProblem): string {
  const place = line === null ? oneLine(file, 200) : `${oneLine(file, 200)}:${line}`;
  return `${pc.red(place)}: ${oneLine(what, 300)}. ${pc.dim(sentence(capital(remedy)))}`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** More turns of a conversation than this are only counted. */
const turnsShown = 4;
const lengthShown = 100;
const labelWidth = 17;

/** What a model said may hold anything; none of it reaches the terminal as it is. */
function rowLines(row: unknown): readonly string[] {
  if (typeof row !== 'object' || row === null) return [];
  return Object.entries(row).flatMap(([key, value]) => {
    const [first = '', ...more] = valueLines(value);
    const label = oneLine(key, 24).padEnd(labelWidth);
    return [
      `  ${pc.dim(label)} ${first}`,
      ...more.map((line) => `  ${' '.repeat(labelWidth)} ${line}`),
    ];
  });
}

function valueLines(value: unknown): readonly string[] {
  if (isTurn(value)) return [turnLine(value)];
  if (!Array.isArray(value)) return [shortened(value)];
  if (value.length === 0 || !value.every(isTurn)) return [counted(value.length, 'item')];
  const left = value.length - turnsShown;
  return [...value.slice(0, turnsShown).map(turnLine), ...(left > 0 ? [`… and ${left} more`] : [])];
}

/** Whether a turn is learnt is said in axolotl's rows alone. */
const turnLine = ({ role, content, train }: Message & { readonly train?: unknown }): string =>
  `${oneLine(role, 16)}: ${oneLine(content, lengthShown)}${train === true ? pc.dim('  (learnt)') : ''}`;

const shortened = (value: unknown): string =>
  oneLine(typeof value === 'string' ? value : JSON.stringify(value), lengthShown);
