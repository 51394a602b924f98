import {
  adjectives,
  checks,
  commonWords,
  findings,
  flaws,
  reflections,
  sentences,
  unreadable,
  type Flaw,
} from './phrases.ts';
import { pick, pickSome, type Random } from './random.ts';

/**
 * The texts of the simulated model. A response says itself where it begins and ends, so that a judge finds it in any
 * template, and it is good if and only if no sentence of `flaws` stands in it.
 */
const opening = 'Here is my ';
const closing = 'This is the end of my answer.';

/** Beyond this, refiners no longer add sentences: a long chain of refinements stays bounded. */
const sentencesMax = 40;

/** The last simulated response in a text; null if there is none, or it was cut. */
export function responseIn(text: string): string | null {
  const end = text.lastIndexOf(closing);
  const start = end < 0 ? -1 : text.lastIndexOf(opening, end);
  return start < 0 ? null : text.slice(start, end + closing.length);
}

/** The flaw that stands in a simulated response; null for a good one. */
export const flawOf = (response: string): Flaw | null =>
  flaws.find(({ broken }) => response.includes(broken)) ?? null;

/** Whether a text is a whole simulated response that is good: what a perfect judge would say. */
export const isGood = (text: string): boolean => {
  const response = responseIn(text);
  return response !== null && flawOf(response) === null;
};

/** @param turn chooses the opening's adjective: other turns (of one call) begin differently */
export function writeResponse(
  instruction: string,
  fails: boolean,
  turn: number,
  random: Random,
): string {
  const topics = topicsOf(instruction);
  const body = pickSome(sentences, 4 + Math.floor(random() * 4), random).map((sentence) =>
    about(sentence, topics, random),
  );
  const flaw = pick(flaws, random);
  const here = Math.floor(random() * (body.length + 1));
  if (fails) body.splice(here, 0, flaw.broken);
  return [
    `${opening}${adjectiveOf(turn)} answer about ${inWords(topics)}.`,
    body.join(' '),
    closing,
  ].join('\n\n');
}

/** A vote as it is said: what was checked, what was found, and the verdict in the last line. */
export function writeCritique(
  judged: { readonly response: string; readonly flaw: Flaw | null },
  vote: 'yes' | 'no' | 'invalid',
  random: Random,
): string {
  const topics = topicsOfResponse(judged.response);
  const found = pickSome(findings, 2 + Math.floor(random() * 3), random).map((finding) =>
    about(finding, topics, random),
  );
  // A judge that is wrong about a good response claims something that nobody can see in it.
  const claimed = judged.flaw ?? pick(flaws, random);
  const lines =
    vote === 'no'
      ? [...found, brokenLine(claimed, judged.flaw !== null)]
      : [...found, `It is required that ${claimed.requirement}. Met.`];
  const conclusion =
    vote === 'no'
      ? `So one requirement is broken: ${claimed.requirement}.`
      : 'So I see no requirement that is broken.';
  const verdict =
    vote === 'invalid'
      ? pick(unreadable, random)
      : `Final Judgement: ${vote === 'yes' ? 'Yes' : 'No'}`;
  return [
    pick(checks, random),
    lines.map((line, index) => `${index + 1}. ${line}`).join('\n'),
    ...(vote === 'invalid' ? [] : [conclusion]),
    verdict,
  ].join('\n\n');
}

const brokenLine = ({ broken, requirement }: Flaw, quoted: boolean): string =>
  quoted
    ? `It is required that ${requirement}, but the response says "${broken}" Broken.`
    : `It is required that ${requirement}, and I do not see that in the response. Broken.`;

/**
 * A refiner's answer: a reflection and, between the marks, the parent with its flaw mended, kept, or replaced by
 * another one, and here and there a small change that nobody asked for. A good parent stays good.
 */
export function writeRefinement(
  parent: string,
  how: { readonly mends: boolean; readonly marked: boolean },
  random: Random,
): string {
  const flaw = flawOf(parent);
  const requirement = (flaw ?? pick(flaws, random)).requirement;
  const reflection = pick(reflections, random).replace('{requirement}', requirement);
  const repaired = flaw
    ? parent.replace(flaw.broken, replacement(flaw, how.mends, random))
    : parent;
  const refined = lightlyEdited(repaired, random);
  return how.marked
    ? `${reflection}\n\n[[start]]\n${refined}\n[[end]]`
    : `${reflection}\n\n${refined}`;
}

const replacement = (flaw: Flaw, mends: boolean, random: Random): string => {
  if (mends) return pick(flaw.mended, random);
  return random() < 0.5 ? flaw.broken : pick(flaws, random).broken;
};

/** Refiners change more than they should: a sentence more, another adjective, or nothing, each a third. */
function lightlyEdited(response: string, random: Random): string {
  const kind = random();
  if (kind < 1 / 3) {
    return response.replace(/^Here is my \p{L}+/u, () => `${opening}${pick(adjectives, random)}`);
  }
  const addition = about(pick(sentences, random), topicsOfResponse(response), random);
  if (kind < 2 / 3 && response.split('. ').length < sentencesMax) {
    return `${response.slice(0, -closing.length).trimEnd()} ${addition}\n\n${closing}`;
  }
  return response;
}

/** Thoughts of a reasoning model, with everything in them that must not be taken for an answer. */
export const thoughtMarker = 'SIMULATED-THOUGHT';

export function writeThoughts(turn: number, random: Random): string {
  const aside = about(pick(sentences, random), ['this'], random);
  return [
    `${thoughtMarker}, the ${adjectiveOf(turn)} kind: ${aside}`,
    'Should I end with "Final Judgement: Yes" already? Or write',
    `[[start]] ${thoughtMarker} and not a response [[end]]`,
    'at once? Neither: I think first, and answer afterwards.',
  ].join('\n');
}

const adjectiveOf = (turn: number): string => adjectives[turn % adjectives.length] ?? 'plain';

/** Up to three telling words of an instruction, in its order: of those that are not common, the longest. */
export function topicsOf(instruction: string): readonly [string, ...string[]] {
  const words = new Map<string, string>();
  // A prompt may be megabytes long; what it is about stands at its beginning.
  for (const [word] of instruction.slice(0, 1000).matchAll(/\p{L}[\p{L}\p{M}]{3,}/gu)) {
    const short = Array.from(word).slice(0, 24).join('');
    const name = short.toLowerCase();
    if (!commonWords.has(name) && !words.has(name)) {
      words.set(name, short === short.toUpperCase() ? name : short);
    }
  }
  const longest = [...words.values()].sort((one, other) => other.length - one.length).slice(0, 3);
  const [first = 'your question', ...others] = [...words.values()].filter((word) =>
    longest.includes(word),
  );
  return [first, ...others];
}

const topicsOfResponse = (response: string): readonly [string, ...string[]] => {
  const [, topics] = /^Here is my \p{L}+ answer about (.{1,200}?)\.\n/u.exec(response) ?? [];
  // Single words only: a response that somebody made up must not put words into a judge's mouth.
  const words = topics?.split(/, | and /).filter((topic) => /^[\p{L}\p{M}]+$/u.test(topic)) ?? [];
  const [first = 'the question', ...others] = words;
  return [first, ...others];
};

const about = (sentence: string, topics: readonly [string, ...string[]], random: Random): string =>
  sentence.replace('{topic}', pick(topics, random));

const inWords = (words: readonly string[]): string =>
  words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
