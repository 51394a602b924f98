import type { Family } from '../constraint.ts';
import { capitalWordFrequency } from './capital-word-frequency.ts';
import { constrainedResponse } from './constrained-response.ts';
import { endChecker } from './end-checker.ts';
import { englishCapital } from './english-capital.ts';
import { englishLowercase } from './english-lowercase.ts';
import { existence } from './existence.ts';
import { forbiddenWords } from './forbidden-words.ts';
import { frequency } from './frequency.ts';
import { jsonFormat } from './json-format.ts';
import { letterFrequency } from './letter-frequency.ts';
import { multipleSections } from './multiple-sections.ts';
import { noComma } from './no-comma.ts';
import { nthParagraphFirstWord } from './nth-paragraph-first-word.ts';
import { numberBulletLists } from './number-bullet-lists.ts';
import { numberHighlightedSections } from './number-highlighted-sections.ts';
import { numberParagraphs } from './number-paragraphs.ts';
import { numberPlaceholders } from './number-placeholders.ts';
import { numberSentences } from './number-sentences.ts';
import { numberWords } from './number-words.ts';
import { postscript } from './postscript.ts';
import { quotation } from './quotation.ts';
import { repeatPrompt } from './repeat-prompt.ts';
import { responseLanguage } from './response-language.ts';
import { title } from './title.ts';
import { twoResponses } from './two-responses.ts';

/** The 25 constraints of IFEval (arXiv 2311.07911), by their names in its data. */
export const ifeval = {
  'keywords:existence': existence,
  'keywords:frequency': frequency,
  'keywords:forbidden_words': forbiddenWords,
  'keywords:letter_frequency': letterFrequency,
  'language:response_language': responseLanguage,
  'length_constraints:number_sentences': numberSentences,
  'length_constraints:number_paragraphs': numberParagraphs,
  'length_constraints:number_words': numberWords,
  'length_constraints:nth_paragraph_first_word': nthParagraphFirstWord,
  'detectable_content:number_placeholders': numberPlaceholders,
  'detectable_content:postscript': postscript,
  'detectable_format:number_bullet_lists': numberBulletLists,
  'detectable_format:constrained_response': constrainedResponse,
  'detectable_format:number_highlighted_sections': numberHighlightedSections,
  'detectable_format:multiple_sections': multipleSections,
  'detectable_format:json_format': jsonFormat,
  'detectable_format:title': title,
  'combination:two_responses': twoResponses,
  'combination:repeat_prompt': repeatPrompt,
  'startend:end_checker': endChecker,
  'startend:quotation': quotation,
  'change_case:capital_word_frequency': capitalWordFrequency,
  'change_case:english_capital': englishCapital,
  'change_case:english_lowercase': englishLowercase,
  'punctuation:no_comma': noComma,
} satisfies Readonly<Record<string, Family>>;
