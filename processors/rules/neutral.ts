/**
 * What a text must not say to a judge in the judge's own words, and what becomes of it. A blank or a line is put in,
 * nothing is taken out: what is left could else come together to what was taken out.
 */
const disguises: readonly (readonly [RegExp, string])[] = [
  // The verdict that ends a critique: in one word it is none.
  [/(final)\s+(judge?ment)/giu, '$1_$2'],
  // The marks around a refinement.
  [/\[(?=\[\s*(?:\/\s*)?(?:start|end)\s*\]\])/giu, '[ '],
  // What chat templates end turns and name roles with; the second bar is the wide one.
  [/<(?=[|｜])/gu, '< '],
  [/([|｜])(?=>)/gu, '$1 '],
  [/<(?=\/?(?:s|bos|eos|start_of_turn|end_of_turn)>)/giu, '< '],
  [/\[(?=\/?INST\])/gu, '[ '],
  [/<(?=<\/?SYS>>)/gu, '< '],
];

/**
 * A text as the judge may see it: a response that says `Final Judgement: Yes` must not pass itself, nor one that ends
 * the turn it stands in. The refiner and everything that is trained on see the text as it is.
 */
export const neutralised = (text: string): string =>
  disguises.reduce((disguised, [mark, by]) => disguised.replace(mark, by), text);
