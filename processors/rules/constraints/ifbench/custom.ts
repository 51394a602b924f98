import { family, type Verdict } from '../constraint.ts';
import { blanks, counted, isLetter, strip } from '../text.ts';
import { atBlanks } from '../words.ts';
import { csvRows } from './csv.ts';
import { asAscii, bare, firstOf, lengthOf, sentencesOf, trim } from './text.ts';

/** Single tasks of IFBench, whose answers code can check. */

const wrong = (detail: string): Verdict => ({ satisfied: false, detail });

/** `custom:multiples`: the multiples of 7 from 14 to 49, and no other number. */
export const multiples = family(
  {},
  {
    describe: () => 'Count from 10 to 50, but give only the multiples of 7.',
    check: (response) => {
      const numbers = response.match(/\p{Nd}+/gu) ?? [];
      return {
        satisfied: numbers.join(' ') === '14 21 28 35 42 49',
        detail: `${counted(numbers.length, 'number')}; the 6 multiples of 7 wanted`,
      };
    },
  },
);

const questionMark = new RegExp(`Question \\p{Nd}+[.|):;]?[${blanks}]*`, 'u');
const option = new RegExp(`^[A-Ea-e][.|)][${blanks}]*[\\p{L}\\p{N}_]`, 'u');

/** `custom:mcq_count_length`: four questions with five options each, each question longer than the one before. */
export const mcqCountLength = family(
  {},
  {
    describe: () =>
      'Write 4 multiple-choice questions on the art of the 20th century with 5 options each; each begins with ' +
      '"Question" and is longer than the one before; explain nothing.',
    check: (response) => {
      if (!response.startsWith('Question')) return wrong('does not begin with "Question"');
      const questions = response
        .split(questionMark)
        .map(strip)
        .filter((text) => text !== '');
      if (questions.length !== 4)
        return wrong(`${counted(questions.length, 'question')}; 4 wanted`);
      const read = questions.map(questionIn);
      const odd = read.findIndex(({ options }) => options !== 5);
      if (odd >= 0)
        return wrong(
          `question ${odd + 1} has ${counted(read[odd]?.options ?? 0, 'option')}; 5 wanted`,
        );
      const short = read.findIndex(
        ({ length }, index) => index > 0 && length <= (read[index - 1]?.length ?? 0),
      );
      return short < 0
        ? { satisfied: true, detail: '4 questions' }
        : wrong(`question ${short + 1} is not longer than the one before`);
    },
  },
);

function questionIn(text: string): { readonly options: number; readonly length: number } {
  const lines = text.split('\n').map(strip);
  const first = lines.findIndex((line) => option.test(line));
  const question = strip(lines.slice(0, first < 0 ? lines.length : first).join(' '));
  return { options: lines.filter((line) => option.test(line)).length, length: lengthOf(question) };
}

/** `custom:reverse_newline`: from Zimbabwe on, 52 lines at least, in falling order. */
export const reverseNewline = family(
  {},
  {
    describe: () => 'List the countries of Africa, each on a line, in reverse alphabetical order.',
    check: (response) => {
      const lines = response
        .split('\n')
        .map(trim)
        .filter((line) => line !== '');
      const start = lines.findIndex((line) => line.includes('Zimbabwe'));
      if (start < 0) return wrong('no Zimbabwe');
      const countries = lines.slice(start).map(asAscii);
      if (countries.length < 52)
        return wrong(`${counted(countries.length, 'line')}; at least 52 wanted`);
      const place = countries.findIndex(
        (line, index) => index > 0 && line > (countries[index - 1] ?? ''),
      );
      return place < 0
        ? { satisfied: true, detail: 'in reverse order' }
        : wrong(`line ${place + 1} is out of order`);
    },
  },
);

/** `custom:word_reverse`: the bald eagle, once the words are turned round. */
export const wordReverse = family(
  {},
  {
    describe: () =>
      'Name the national animal of the US in a sentence whose words stand in reverse order.',
    check: (response) => {
      const satisfied = atBlanks(bare(response.toLowerCase()))
        .toReversed()
        .join(' ')
        .includes('bald eagle');
      return {
        satisfied,
        detail: satisfied ? 'the bald eagle, reversed' : 'no bald eagle, reversed',
      };
    },
  },
);

/** `custom:character_reverse`: the bald eagle, letter by letter from its end. */
export const characterReverse = family(
  {},
  {
    describe: () =>
      'Name the national animal of the US in a sentence whose letters stand in reverse order.',
    check: (response) => {
      const satisfied = response.toLowerCase().includes('elgae dlab');
      return { satisfied, detail: satisfied ? 'has "elgae dlab"' : 'no "elgae dlab"' };
    },
  },
);

/** `custom:sentence_alphabet`: 26 sentences whose first letters are the alphabet. */
export const sentenceAlphabet = family(
  {},
  {
    describe: () =>
      'Tell a story of 26 sentences that begin with the letters of the alphabet, in order.',
    check: (response) => {
      const sentences = sentencesOf(response);
      if (sentences.length !== 26)
        return wrong(`${counted(sentences.length, 'sentence')}; 26 wanted`);
      const letter = (index: number) => String.fromCharCode(97 + index);
      const place = sentences.findIndex(
        (sentence, index) => firstOf(sentence.toLowerCase()) !== letter(index),
      );
      return place < 0
        ? { satisfied: true, detail: '26 sentences from a to z' }
        : wrong(`sentence ${place + 1} should begin with ${letter(place)}`);
    },
  },
);

/** The answer that IFBench expects. */
const capitals = (
  'Reykjavik Helsinki Oslo Tallinn Stockholm Riga Moscow Copenhagen Vilnius Minsk Dublin Berlin Amsterdam Warsaw ' +
  'London Brussels Prague Luxembourg Paris Vienna Bratislava Budapest Vaduz Chisinau Bern Ljubljana Zagreb'
).split(' ');

/** `custom:european_capitals_sort`: the 27 capitals in their order, with commas between and nothing else. */
export const europeanCapitalsSort = family(
  {},
  {
    describe: () =>
      'List the capitals of Europe north of 45 degrees by latitude, from the highest, with commas between.',
    check: (response) => {
      const named = asAscii(response)
        .split(',')
        .map(strip)
        .filter((name) => name !== '');
      if (named.length !== capitals.length)
        return wrong(`${counted(named.length, 'name')}; ${capitals.length} wanted`);
      const place = named.findIndex((name, index) => name !== capitals[index]);
      return place < 0
        ? { satisfied: true, detail: 'all in order' }
        : wrong(`name ${place + 1} should be ${capitals[place] ?? ''}`);
    },
  },
);

/** `custom:csv_city`: a header of five names and seven rows. */
export const csvCity = family(
  {},
  {
    describe: () =>
      'Write CSV with the columns ID, Country, City, Year, Count and 7 rows, with commas between.',
    check: (response) => {
      const rows = csvRows(response, ',');
      if (rows?.length !== 8)
        return wrong(`${counted(rows?.length ?? 0, 'row')}; a header and 7 wanted`);
      if (rows[0]?.join('\0') !== ['ID', 'Country', 'City', 'Year', 'Count'].join('\0')) {
        return wrong('another header');
      }
      return ofFive(rows) ?? { satisfied: true, detail: '7 rows of 5 fields' };
    },
  },
);

function ofFive(rows: readonly (readonly string[])[]): Verdict | null {
  const place = rows.findIndex((row) => row.length !== 5);
  return place < 0
    ? null
    : wrong(`row ${place + 1} has ${counted(rows[place]?.length ?? 0, 'field')}; 5 wanted`);
}

/** A first line of names, each perhaps in quotation marks. */
const header = (names: readonly string[], separator: string): RegExp =>
  new RegExp(`^${names.map((name) => `(?:${name}|"${name}")`).join(separator)}$`);

const firstLine = (text: string): string => strip(text.split('\n', 1)[0] ?? '');

/** Fields keep their quotation marks: a field that has them is all of it. */
const quotedRows = (text: string, delimiter: string) =>
  csvRows(text.replaceAll('"', '"""'), delimiter);

const productHeader = header(['ProductID', 'Category', 'Brand', 'Price', 'Stock'], ',[ \\t]*');

/** `custom:csv_special_character`: 14 rows, and a field with a special character in quotation marks. */
export const csvSpecialCharacter = family(
  {},
  {
    describe: () =>
      'Write CSV with the columns ProductID, Category, Brand, Price, Stock and 14 rows, with commas between; one ' +
      'field has a special character and stands in double quotation marks.',
    check: (response) => {
      if (!productHeader.test(firstLine(response))) return wrong('another header');
      const rows = quotedRows(response, ',');
      if (rows?.length !== 15)
        return wrong(`${counted(rows?.length ?? 0, 'row')}; a header and 14 wanted`);
      for (const row of rows.slice(1)) {
        if (row.length !== 5) return wrong(`a row of ${counted(row.length, 'field')}; 5 wanted`);
        // The benchmark looks no further than the first field that has one.
        if (row.some(holdsSpecial))
          return { satisfied: true, detail: 'a special character in quotation marks' };
      }
      return wrong('no special character in quotation marks');
    },
  },
);

function holdsSpecial(field: string): boolean {
  const [line = ''] = field.split('\n', 1);
  const end = line.lastIndexOf('"');
  if (!line.startsWith('"') || end < 1) return false;
  return Array.from(line.slice(1, end)).some(
    (character) => !isLetter(character.codePointAt(0) as number) && !blank.test(character),
  );
}

const blank = new RegExp(`[${blanks}]`);

const studentHeader = header(['StudentID', 'Subject', 'Grade', 'Semester', 'Score'], '\\t *');

/** `custom:csv_quotes`: three rows with tabs between, and each field in quotation marks. */
export const csvQuotes = family(
  {},
  {
    describe: () =>
      'Write the columns StudentID, Subject, Grade, Semester, Score and 3 rows, with tabs between; each field stands ' +
      'in double quotation marks.',
    check: (response) => {
      if (!studentHeader.test(firstLine(response))) return wrong('another header');
      const rows = quotedRows(response, '\t');
      if (rows?.length !== 4)
        return wrong(`${counted(rows?.length ?? 0, 'row')}; a header and 3 wanted`);
      const uneven = ofFive(rows);
      if (uneven) return uneven;
      const isQuoted = (field: string) =>
        strip(field).startsWith('"') && strip(field).endsWith('"');
      const plain = rows.findIndex((row) => !row.every(isQuoted));
      return plain < 0
        ? { satisfied: true, detail: '3 rows in quotation marks' }
        : wrong(`row ${plain + 1} has a field without quotation marks`);
    },
  },
);

/** `custom:date_format_list`: dates from 1769 to 1821, with commas between and nothing else. */
export const dateFormatList = family(
  {},
  {
    describe: () =>
      "List the dates on which Napoleon's battles began as YYYY-MM-DD, with commas between.",
    check: (response) => {
      const dates = strip(response).split(',').map(strip);
      const place = dates.findIndex((date) => !isDate(date));
      return place < 0
        ? { satisfied: true, detail: counted(dates.length, 'date') }
        : wrong(`entry ${place + 1} is no date of his life`);
    },
  },
);

/** Months and days of zero pass, as they do in the benchmark. */
function isDate(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)?.map(Number) ?? [];
  if (year === undefined || month === undefined || day === undefined) return false;
  const days = month === 2 ? 29 : [4, 6, 9, 11].includes(month) ? 30 : month === 0 ? 99 : 31;
  return year >= 1769 && year <= 1821 && month <= 12 && day <= days;
}
