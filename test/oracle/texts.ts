import type { Chance } from './chance.ts';
import { sentencesByLanguage } from './languages.ts';

const words = (
  'the a of to and in it is was for on with as his they at be this from have or by one had not but what all were ' +
  'when we there can an your which their said if do will each about how up out them then she many some so these ' +
  'would other into has more her two like him see time could no make than first been its who now people my made ' +
  'over did down only way find use may water long little very after words called just where most know river garden ' +
  'section answer time letter market winter however although meanwhile yesterday I'
).split(' ');

/** What word and sentence splitters stumble over. */
const oddWords = (
  "I'D WE'D she'd kılo KİLO KIſS Mr. Dr. Ph.D. U.S. U.S.A. e.g. i.e. etc. Inc. Jan. No. St. J. S. A. p.m. 3.5 1,000 10:30 $5. 12. -3. 5% don't " +
  "DON'T I'LL CAN'T CANNOT cannot gonna GONNA WANNA D'YE MORE'N 'TIS 'em O'BRIEN rock'n'roll X-RAY well-known NASA " +
  'ISO-9001 COVID-19 iPhone McDonald ... .. !!! ?! . ! ? , ; : -- — – - ( ) [ ] { } < > << >> " \' “ ” ‘ ’ « » ` `` ' +
  '… * ** *** # ## @home &amp; \\ / | ~ ^ _ __init__ 1st 2ND 4x4 www.example.com a@b.org https://example.com/?q=1.'
).split(' ');

const oddCharacters = [
  ...Array.from('éÉßẞİıſKŁøÆǅΣσςЯяאبहि你好日本한😀👩‍👩‍👧🏳️‍🌈٣४५Ⅷⅷªºʰͅ①½²₂ﬁ'),
  ...['e\u0301', 'n\u0303', '\u200b', '\u200d', '\ufeff', '\u00a0', '\u2028', '\u2029', '\u0085'],
  ...['\u001c', '\u001f', '\u000b', '\u000c', '\u3000', '\u202f', '\u0000', '\u007f', '\u202e'],
  ...['。', '、', '，', '！', '？', '٬', '؟', '।', '⁎', '＊', '“', '”', '«', '‒', '―', '⸺'],
];

const separators = [' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', '\n', '\n\n', '  ', '\t', ''];

function word(chance: Chance): string {
  const odd = chance.happens(0.12);
  const text = chance.pick(odd ? oddWords : words);
  if (chance.happens(0.06)) return text.toUpperCase();
  if (chance.happens(0.1)) return text.charAt(0).toUpperCase() + text.slice(1);
  return chance.happens(0.08)
    ? text + chance.pick(['.', '.', '.', ',', '!', '?', ':', '."', '.)'])
    : text;
}

function prose(chance: Chance): string {
  const sentence = () => {
    const text = chance.several(1, 14, () => word(chance) + chance.pick(separators)).join('');
    return (
      text.charAt(0).toUpperCase() + text.slice(1).trimEnd() + chance.pick(['.', '.', '?', '!'])
    );
  };
  return chance.several(1, 8, sentence).join(chance.pick([' ', ' ', '\n\n', '\n']));
}

const unicode = (chance: Chance): string =>
  chance
    .several(1, 30, () => (chance.happens(0.6) ? chance.pick(oddCharacters) : word(chance)))
    .join(chance.pick(['', ' ', '\n']));

function markdown(chance: Chance): string {
  const inline = () => {
    const mark = chance.pick(['*', '**', '***', '****', '_', '`', '* ', ' *', '"', '~~']);
    return `${mark}${chance.happens(0.2) ? '' : word(chance)}${chance.pick([mark, mark, '*', '**'])}`;
  };
  const line = () =>
    chance.pick([
      '',
      '# ',
      '## ',
      '* ',
      '*',
      '- ',
      '-',
      '  * ',
      '\t- ',
      '+ ',
      '1. ',
      '> ',
      '***',
      '---',
    ]) + chance.several(0, 5, () => (chance.happens(0.5) ? inline() : word(chance))).join(' ');
  return chance.several(1, 10, line).join(chance.pick(['\n', '\n', '\n\n', '\n\n\n']));
}

function json(chance: Chance, depth = 0): string {
  const value = (): string => {
    if (depth < 4 && chance.happens(0.4)) return json(chance, depth + 1);
    return chance.pick([
      ...[
        '1',
        '-0',
        '2.5e-3',
        'true',
        'false',
        'null',
        'NaN',
        '-Infinity',
        'Infinity',
        '"x"',
        '"\\u00e9"',
      ],
      ...[
        '"a\\"NaN"',
        '01',
        '1.',
        '.5',
        '+1',
        "'x'",
        'True',
        '"\t"',
        '"\\x"',
        '""',
        '"😀"',
        '-NaN',
        '1NaN',
      ],
    ]);
  };
  const items = chance.several(0, 4, value);
  const open = chance.pick(['', '', '', ' ', '\n', '\u00a0', ',']);
  return chance.happens(0.5)
    ? `[${open}${items.join(chance.pick([',', ', ', ' ,\n']))}]`
    : `{${open}${items.map((item, index) => `"k${index}": ${item}`).join(',')}}`;
}

const languages = Object.keys(sentencesByLanguage);

export const inLanguage = (chance: Chance, language: string): string =>
  chance.several(1, 5, () => chance.pick(sentencesByLanguage[language] ?? [])).join(' ');

/** A language, with the text in it: of itself, or mixed with another. */
const foreign = (chance: Chance): string =>
  chance.several(1, 2, () => inLanguage(chance, chance.pick(languages))).join('\n\n');

const long = (chance: Chance): string => {
  const parts: string[] = [];
  for (let length = 0; length < 100_000; length += parts.at(-1)?.length ?? 1) {
    parts.push(chance.happens(0.8) ? prose(chance) : markdown(chance));
  }
  return parts.join('\n');
};

/** A response of some kind, to which the constraint is added, or not. */
export function response(chance: Chance): string {
  const kind = chance.next();
  if (kind < 0.48) return prose(chance);
  if (kind < 0.68) return markdown(chance);
  if (kind < 0.8) return unicode(chance);
  if (kind < 0.86) return json(chance);
  if (kind < 0.93) return foreign(chance);
  if (kind < 0.96)
    return chance.pick([
      '',
      ' ',
      '\n\n',
      '\u00a0',
      '.',
      '*',
      '"',
      '""',
      '\u001c',
      '\ufeff',
      '******',
    ]);
  return kind < 0.965 ? long(chance) : `${prose(chance)}\n${markdown(chance)}`;
}

export { json, languages, prose, word };

/** Small changes in random places: something put in, taken out, turned over. */
export function mutated(chance: Chance, text: string): string {
  let changed = text;
  for (let edits = chance.whole(1, 4); edits > 0; edits--) {
    const place = chance.whole(0, changed.length);
    const to = place + chance.whole(0, 4);
    const part = changed.slice(place, to);
    const instead = chance.pick([
      '',
      part.toUpperCase(),
      part.toLowerCase(),
      part + part,
      chance.pick(oddCharacters),
      chance.pick(oddWords),
      chance.pick([
        '\n',
        '\n\n',
        ' ',
        ',',
        '*',
        '**',
        '***',
        '******',
        '-',
        '"',
        '[',
        ']',
        '<<',
        '>>',
        'P.S.',
      ]),
    ]);
    changed = changed.slice(0, place) + instead + changed.slice(to);
  }
  return whole(changed);
}

/** As other writers would hand it over: with Windows line ends, in quotation marks, in a fence, after a greeting. */
export const dressed = (chance: Chance, text: string): string =>
  chance.pick([
    text.replaceAll('\n', '\r\n'),
    text.replaceAll('\n', '\r'),
    `"${text}"`,
    `\`\`\`${chance.pick(['', 'json', 'Json', 'JSON', 'jsonc'])}\n${text}\n\`\`\``,
    `Sure, here it is:\n${text}`,
    `${text}\nI hope this helps, truly!`,
    `**Sure, here it is:**\n\n${text}\n\nI hope this HELPS, truly!`,
    `\u00a0${text}\u001c\n`,
    text.toUpperCase(),
    text.toLowerCase(),
  ]);

/** Without halves of characters, which no file of UTF-8 can hold. */
const whole = (text: string): string => text.toWellFormed().replaceAll('\ufffd', '');
