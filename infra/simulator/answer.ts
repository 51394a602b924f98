import { nameOf, randomOf, type Random } from './random.ts';
import type { SimulatorSettings } from './settings.ts';
import {
  flawOf,
  responseIn,
  writeCritique,
  writeRefinement,
  writeResponse,
  writeThoughts,
} from './texts.ts';

export type Role = 'sample' | 'judge' | 'refine';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** What a draw depends on, and how it is cut. */
export interface Draw {
  readonly messages: readonly ChatMessage[];
  readonly seed: string | number;
  /** At 0 neither the seed nor the choice's index matters, as with greedy decoding. */
  readonly temperature: number;
  /** Null for as many as it takes. */
  readonly maxTokens: number | null;
  readonly stop: readonly string[];
}

export interface Choice {
  /** Null if the answer was cut before it began. */
  readonly content: string | null;
  /** Thoughts in a field of their own; null if there are none. */
  readonly reasoning: string | null;
  readonly finishReason: 'stop' | 'length';
  readonly tokens: number;
}

/** A token is four characters, for prompts and answers alike. */
const charactersPerToken = 4;

export const tokensOf = (characters: number): number => Math.ceil(characters / charactersPerToken);

export const promptTokensOf = (messages: readonly ChatMessage[]): number =>
  tokensOf(messages.reduce((sum, { content }) => sum + content.length, 0));

/** By the protocol's marks in the last user message, whatever the template around them. */
export function roleOf(messages: readonly ChatMessage[]): Role {
  const last = messages.findLast(({ role }) => role === 'user')?.content ?? '';
  if (last.includes('[[start]]') && last.includes('[[end]]')) return 'refine';
  return last.includes('Final Judgement') ? 'judge' : 'sample';
}

/**
 * The first `count` choices of a draw: functions of the simulator's seed, the request's seed, the messages and the
 * choice's index, and of nothing else.
 */
export function choicesOf(
  settings: SimulatorSettings,
  draw: Draw,
  count: number,
): readonly Choice[] {
  const greedy = draw.temperature === 0;
  const name = nameOf(settings.seed, greedy ? 'greedy' : draw.seed, draw.messages);
  const firstTurn = Math.floor(randomOf(name)() * 1000);
  const say = speakerOf(settings, draw.messages);
  return Array.from({ length: count }, (_, index) => {
    const turn = greedy ? firstTurn : firstTurn + index;
    const random = randomOf(name, greedy ? 0 : index);
    // Thoughts have a chance of their own, so that the answers are the same with and without them.
    const thoughts =
      settings.reasoning === 'none' ? null : writeThoughts(turn, randomOf(name, 'thoughts', index));
    return cut(say(turn, random), thoughts, settings.reasoning, draw);
  });
}

/** Looks at the prompt once, and then speaks for each choice. */
function speakerOf(
  settings: SimulatorSettings,
  messages: readonly ChatMessage[],
): (turn: number, random: Random) => string {
  const role = roleOf(messages);
  const asked = messages.findLast((message) => message.role === 'user')?.content ?? '';
  if (role === 'sample') {
    return (turn, random) => writeResponse(asked, random() < settings.failRate, turn, random);
  }
  const shown = messages
    .filter((message) => message.role === 'user')
    .map(({ content }) => content)
    .join('\n');
  const response = responseIn(shown);
  if (role === 'judge') {
    const flaw = response === null ? null : flawOf(response);
    // Who brings responses of their own has no truth that we know, so chance says, once and for all votes.
    const good =
      response === null
        ? randomOf(settings.seed, 'truth', asked)() >= settings.failRate
        : flaw === null;
    return (_turn, random) => {
      const vote = voteOn(good, settings, random);
      return writeCritique({ response: response ?? '', flaw }, vote, random);
    };
  }
  return (turn, random) => {
    const mends = random() < settings.refineRate;
    const marked = random() >= settings.unmarkedRate;
    const parent = response ?? writeResponse(shown, !mends, turn, random);
    return writeRefinement(parent, { mends, marked }, random);
  };
}

function voteOn(
  good: boolean,
  { judgeAccuracy, invalidRate }: SimulatorSettings,
  random: Random,
): 'yes' | 'no' | 'invalid' {
  const readable = random() >= invalidRate;
  const truthful = random() < judgeAccuracy;
  if (!readable) return 'invalid';
  return good === truthful ? 'yes' : 'no';
}

/** Ends an answer where `stop` or `max_tokens` ends it. Thoughts come first and count like the rest. */
function cut(
  whole: string,
  thoughts: string | null,
  mode: SimulatorSettings['reasoning'],
  { maxTokens, stop }: Draw,
): Choice {
  const stops = stop.map((mark) => (mark ? whole.indexOf(mark) : -1)).filter((at) => at >= 0);
  const answer = whole.slice(0, Math.min(whole.length, ...stops));
  const room = maxTokens === null ? Infinity : maxTokens * charactersPerToken;
  const content =
    thoughts !== null && mode === 'think-tags'
      ? `<think>\n${thoughts}\n</think>\n\n${answer}`
      : answer;
  const reasoning = mode === 'field' ? thoughts : null;
  const length = (reasoning?.length ?? 0) + content.length;
  const left = room - (reasoning?.length ?? 0);
  return {
    content: left <= 0 && reasoning !== null ? null : content.slice(0, left).toWellFormed(),
    reasoning: reasoning?.slice(0, room) ?? null,
    finishReason: length > room ? 'length' : 'stop',
    tokens: tokensOf(Math.min(length, room)),
  };
}
