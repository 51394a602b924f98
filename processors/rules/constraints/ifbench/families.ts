import type { Family } from '../constraint.ts';
import * as count from './count.ts';
import * as custom from './custom.ts';
import * as format from './format.ts';
import * as ratio from './ratio.ts';
import * as words from './words.ts';

/**
 * The constraints of IFBench (arXiv 2507.02833) that need no model and no download, by their names in its data. Two of
 * the 58 are not here: `words:start_verb` asks a tagger of parts of speech, and `words:odd_even_syllables` a dictionary
 * of syllables.
 */
export const ifbench = {
  'count:word_count_range': count.wordCountRange,
  'count:unique_word_count': count.uniqueWordCount,
  'count:conjunctions': count.conjunctions,
  'count:person_names': count.personNames,
  'count:numbers': count.numbers,
  'count:punctuation': count.punctuation,
  'count:words_japanese': count.wordsJapanese,
  'count:pronouns': count.pronouns,
  'count:keywords_multiple': count.keywordsMultiple,
  'ratio:stop_words': ratio.stopWordShare,
  'ratio:sentence_type': ratio.sentenceType,
  'ratio:sentence_balance': ratio.sentenceBalance,
  'ratio:overlap': ratio.overlap,
  'ratio:sentence_words': ratio.sentenceWords,
  'words:alphabet': words.alphabet,
  'words:vowel': words.vowel,
  'words:consonants': words.consonants,
  'words:palindrome': words.palindrome,
  'words:prime_lengths': words.primeLengths,
  'words:repeats': words.repeats,
  'words:last_first': words.lastFirst,
  'words:paragraph_last_first': words.paragraphLastFirst,
  'words:no_consecutive': words.noConsecutive,
  'words:keywords_specific_position': words.keywordsSpecificPosition,
  'words:words_position': words.wordsPosition,
  'sentence:alliteration_increment': words.alliterationIncrement,
  'sentence:keyword': words.sentenceKeyword,
  'sentence:increment': words.sentenceIncrement,
  'repeat:repeat_change': words.repeatChange,
  'repeat:repeat_simple': words.repeatSimple,
  'repeat:repeat_span': words.repeatSpan,
  'format:parentheses': format.parentheses,
  'format:quotes': format.quotes,
  'format:options': format.options,
  'format:newline': format.newline,
  'format:emoji': format.emoji,
  'format:line_indent': format.lineIndent,
  'format:quote_unquote': format.quoteUnquote,
  'format:list': format.list,
  'format:thesis': format.thesis,
  'format:sub-bullets': format.subBullets,
  'format:no_bullets_bullets': format.noBulletsBullets,
  'format:title_case': format.titleCase,
  'format:output_template': format.outputTemplate,
  'format:no_whitespace': format.noWhitespace,
  'custom:multiples': custom.multiples,
  'custom:mcq_count_length': custom.mcqCountLength,
  'custom:reverse_newline': custom.reverseNewline,
  'custom:word_reverse': custom.wordReverse,
  'custom:character_reverse': custom.characterReverse,
  'custom:sentence_alphabet': custom.sentenceAlphabet,
  'custom:european_capitals_sort': custom.europeanCapitalsSort,
  'custom:csv_city': custom.csvCity,
  'custom:csv_special_character': custom.csvSpecialCharacter,
  'custom:csv_quotes': custom.csvQuotes,
  'custom:date_format_list': custom.dateFormatList,
} satisfies Readonly<Record<string, Family>>;
