import { drawsOf, type Draws } from './draws.ts';
import type { SimulatorSettings } from './settings.ts';

/**
 * What the simulated model says. Its responses are plain English that begins and ends in a way of its own, so that
 * it finds them again inside any prompt template; a failing one contains a sentence that owns up to a flaw, so that
 * the truth about every text is known, and a person sees in a word diff what a refinement has mended.
 */
export type SimulatedRole = 'sample' | 'judge' | 'refine';

interface Message {
  readonly role: string;
  readonly content: string;
}

/** The protocol's marks tell the roles apart, whatever the templates say. */
export function roleOf(messages: readonly Message[]): SimulatedRole {
  const last = messages.at(-1)?.content ?? '';
  if (last.includes('[[start]]') && last.includes('[[end]]')) return 'refine';
  return last.includes('Final Judgement') ? 'judge' : 'sample';
}

export function say(
  role: SimulatedRole,
  messages: readonly Message[],
  draws: Draws,
  settings: SimulatorSettings,
): string {
  switch (role) {
    case 'sample':
      return respond(topicOf(messages.at(-1)?.content ?? ''), draws, settings);
    case 'judge':
      return judge(messages.at(-1)?.content ?? '', draws, settings);
    case 'refine':
      return refine(messages, draws, settings);
  }
}

/** Stands in every thought, with words on purpose that must not be taken for an answer. */
export const thoughtMarker = 'SIMULATED-THOUGHT';

export const think = (draws: Draws): string =>
  `${thoughtMarker} ${draws.pick(['Let me see.', 'First the requirements.', 'What is asked here?'])} ` +
  'Final Judgement: Yes would be quick. [[start]] not this [[end]]';

/** True unless the text owns up to a flaw; of a text that is not ours, chance decides once and for all. */
export function isGood(prompt: string, settings: SimulatorSettings): boolean {
  const text = responseIn(prompt);
  if (text === null) return drawsOf(settings.seed, 'truth', prompt).next() >= settings.failRate;
  return !flaws.some((flaw) => text.includes(flaw.says));
}

const opening = 'Here is my answer about ';
const closing = 'That is my whole answer.';

const responseIn = (prompt: string): string | null => {
  const end = prompt.lastIndexOf(closing);
  const start = end < 0 ? -1 : prompt.lastIndexOf(opening, end);
  return start < 0 ? null : prompt.slice(start, end + closing.length);
};

function respond(topic: string, draws: Draws, settings: SimulatorSettings): string {
  const failing = draws.next() < settings.failRate;
  const sentences = Array.from({ length: 3 + Math.floor(draws.next() * 3) }, () =>
    sentence(topic, draws),
  );
  const place = Math.floor(draws.next() * (sentences.length + 1));
  const special = draws.pick(flaws);
  sentences.splice(place, 0, failing ? special.says : special.mended);
  return [`${opening}${topic}.`, ...sentences, closing].join(' ');
}

function judge(prompt: string, draws: Draws, settings: SimulatorSettings): string {
  const good = isGood(prompt, settings);
  const vote = draws.next() < settings.judgeAccuracy ? good : !good;
  const unreadable = draws.next() < settings.invalidRate;
  const flaw = flaws.find(({ says }) => responseIn(prompt)?.includes(says));
  return [
    draws.pick([
      'Let us check the requirements one by one.',
      'I go through the instruction line by line.',
      'First the content, then the form.',
    ]),
    'The subject is the one that was asked for.',
    vote
      ? draws.pick(['Each condition is met.', 'I find nothing that is left out.'])
      : flaw
        ? `One condition is broken: the response says "${flaw.says}"`
        : 'One condition is not met, as far as I can see.',
    unreadable
      ? draws.pick(['I cannot decide this.', 'Final judgement: perhaps.'])
      : `Final Judgement: ${vote ? 'Yes' : 'No'}`,
  ].join('\n');
}

function refine(messages: readonly Message[], draws: Draws, settings: SimulatorSettings): string {
  const marked = draws.next() >= settings.unmarkedRate;
  const mends = draws.next() < settings.refineRate;
  const first = messages[0]?.content ?? '';
  const parent = responseIn(first) ?? respond(topicOf(first), draws, { ...settings, failRate: 1 });
  const topic = parent.slice(opening.length, Math.max(opening.length, parent.indexOf('.')));
  let text = parent;
  for (const flaw of flaws) {
    const other = draws.pick(flaws);
    text = text.replaceAll(flaw.says, mends ? flaw.mended : other.says);
  }
  // A small change elsewhere, so that two refinements of one response are seldom the same text.
  text = text.replace(closing, `${sentence(topic, draws)} ${closing}`);
  const reflection = draws.pick([
    'One requirement was left out; the rest can stay.',
    'The check names one broken condition. I change only that sentence.',
    'I keep what was right and repair what was not.',
  ]);
  return marked ? `${reflection}\n[[start]]\n${text}\n[[end]]` : `${reflection}\n${text}`;
}

/** Up to four telling words of the instruction. */
function topicOf(instruction: string): string {
  const words = [...instruction.matchAll(/\p{L}{5,}/gu)].map(([word]) => word.toLowerCase());
  return [...new Set(words)].slice(0, 4).join(' ') || 'your question';
}

const sentence = (topic: string, draws: Draws): string =>
  draws.pick(sentences).replace('{topic}', topic);

const sentences: readonly [string, ...string[]] = [
  'Most people meet {topic} sooner or later.',
  'A good place to begin is with what is already known.',
  'There are three things to keep in mind here.',
  'Small steps lead further than large plans.',
  'With {topic}, the details decide.',
  'It helps to look at an example first.',
  'Some of it depends on taste.',
  'Others have written about {topic} at length.',
  'What matters most comes first.',
  'Take your time with the second part.',
  'This is easier than it looks.',
  'The rest follows from there.',
  'Nothing about {topic} is ever quite finished.',
  'A short list would say the same.',
  'In the end it is a matter of practice.',
  'That much is simple.',
];

const flaws: readonly [Flaw, ...Flaw[]] = [
  {
    says: 'I have left one of your conditions out, since it seemed unimportant.',
    mended: 'Every one of your conditions is met here.',
  },
  {
    says: 'I did not count the words, so the length is only a guess.',
    mended: 'I have counted the words, and the length is as you asked.',
  },
  {
    says: 'The format is my own and not the one that you wanted.',
    mended: 'The format is the one that you wanted.',
  },
  {
    says: 'One of the words that you asked for is missing.',
    mended: 'All the words that you asked for are here.',
  },
  {
    says: 'I could not resist the punctuation that you had ruled out!',
    mended: 'The punctuation that you had ruled out is gone.',
  },
  {
    says: 'The tone is not the one that you had in mind.',
    mended: 'The tone is the one that you had in mind.',
  },
];

interface Flaw {
  readonly says: string;
  readonly mended: string;
}
