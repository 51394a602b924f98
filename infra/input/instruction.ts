import type { Constraint, Instruction, JudgeBy, Message } from '../../schemas/records.ts';
import { messageOf, oneLine } from '../text.ts';
import { idOf } from './identity.ts';

/** Why a line cannot become an instruction. */
export type Reason =
  | 'not-json'
  | 'not-an-object'
  | 'no-prompt'
  | 'prompt-and-messages'
  | 'empty-prompt'
  | 'wrong-type'
  | 'unknown-role'
  | 'last-turn';

/** A line that is not an instruction; the message says what is wrong and what to do, without the place. */
export class Refused extends Error {
  override readonly name = 'Refused';
  readonly reason: Reason;

  constructor(reason: Reason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** An instruction as its line says it; where it came from is for the reader to add. */
export type Parsed = Pick<
  Instruction,
  'id' | 'messages' | 'constraints' | 'judge_by' | 'responses' | 'extra'
>;

/**
 * Reads one JSON object. `prompt` or `messages` is needed; `id` (or else `key`), `responses`, `constraints`,
 * IFEval's `instruction_id_list` with `kwargs`, and `judge_by` have a meaning; every other field goes to `extra`. A field that is
 * null is as good as absent.
 *
 * @param otherwise the id of a line that names none; null for a hash of its messages
 * @throws Refused
 */
export function fromJson(text: string, otherwise: string | null = null): Parsed {
  const fields = objectOf(text);
  const { prompt, messages, id, key, responses, ...others } = fields;
  const { constraints, instruction_id_list: types, kwargs, judge_by, ...extra } = others;
  const conversation = conversationOf(prompt, messages, Object.keys(fields));
  return {
    id: given(id)
      ? identifier(id, 'id')
      : given(key)
        ? identifier(key, 'key')
        : (otherwise ?? idOf(conversation)),
    messages: conversation,
    constraints: [...constraintsOf(constraints), ...ifevalConstraints(types, kwargs)],
    judge_by: given(judge_by) ? judgeOf(judge_by) : null,
    responses: given(responses) ? strings(responses, 'responses') : [],
    // A key beside an id is one more field of the source.
    extra: JSON.stringify(given(id) && given(key) ? { key, ...extra } : extra),
  };
}

/**
 * A plain JSON value of `instructions`, as producers without a registry write it: the same fields as a line of a
 * file. Without an id it has the record's key, and without that a hash of its messages.
 *
 * @throws Refused
 */
export function fromProducer(text: string, origin: ProducerOrigin | null): Instruction {
  const key = origin?.key ?? '';
  return {
    ...fromJson(text, key === '' ? null : key),
    source: origin?.topic ?? '',
    source_line: origin?.offset ?? 0,
    added_at: origin?.timestamp ?? 0,
  };
}

/** For the topics that others write, by the schema of their records. */
export const plainReaders = { instruction: fromProducer };

/** The record that a producer wrote. */
interface ProducerOrigin {
  readonly topic: string;
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
}

/** A line of plain text is one user's turn. */
export function fromText(text: string): Parsed {
  const messages: readonly Message[] = [{ role: 'user', content: text }];
  return {
    id: idOf(messages),
    messages,
    constraints: [],
    judge_by: null,
    responses: [],
    extra: '{}',
  };
}

function objectOf(text: string): Fields {
  let value: unknown;
  try {
    value = parseExactly(text);
  } catch (cause) {
    throw new Refused(
      'not-json',
      `not JSON (${oneLine(messageOf(cause))}); every line must be a whole JSON object`,
      { cause },
    );
  }
  if (!isObject(value)) {
    throw new Refused(
      'not-an-object',
      `expected an object with \`prompt\` or \`messages\`, got ${kind(value)}`,
    );
  }
  return value;
}

/**
 * Numbers that a double cannot hold as they are written, such as ids of 20 digits, stay as they are written.
 */
function parseExactly(text: string): unknown {
  if (!/\d{16}|\d[.eE]/.test(text)) return JSON.parse(text);
  return exactJson.parse(text, (_key, value, context) =>
    typeof value === 'number' && context?.source !== undefined && String(value) !== context.source
      ? exactJson.rawJSON(context.source)
      : value,
  );
}

/** What Node's JSON can do and TypeScript's library does not tell yet (ECMAScript: JSON.parse source text access). */
interface JsonWithSource {
  parse(
    text: string,
    reviver: (key: string, value: unknown, context?: { readonly source?: string }) => unknown,
  ): unknown;
  rawJSON(text: string): { readonly rawJSON: string };
  isRawJSON(value: unknown): value is { readonly rawJSON: string };
}

// Node has had these since version 22, and Node 24 is what we ask for.
const exactJson = JSON as unknown as JsonWithSource;

function conversationOf(
  prompt: unknown,
  messages: unknown,
  names: readonly string[],
): readonly Message[] {
  if (given(prompt) && given(messages)) {
    throw new Refused('prompt-and-messages', 'has both `prompt` and `messages`; keep one of them');
  }
  if (given(prompt)) {
    const content = string(prompt, 'prompt');
    if (content.trim() === '') {
      throw new Refused('empty-prompt', '`prompt` is empty; give it a text or leave the line out');
    }
    return [{ role: 'user', content }];
  }
  if (!given(messages)) {
    const fields = names.length > 0 ? `only ${oneLine(names.join(', '))}` : 'no field at all';
    throw new Refused('no-prompt', `needs \`prompt\` or \`messages\`, has ${fields}`);
  }
  const turns = array(messages, 'messages').map(turnOf);
  const last = turns.at(-1);
  if (!last) {
    throw new Refused('empty-prompt', '`messages` is empty; it needs at least one user turn');
  }
  if (last.role !== 'user') {
    throw new Refused(
      'last-turn',
      `the last of \`messages\` is the ${last.role}'s; it must be the user's turn to answer`,
    );
  }
  const blank = turns.findIndex(({ role, content }) => role === 'user' && content.trim() === '');
  if (blank !== -1) {
    throw new Refused('empty-prompt', `\`messages[${blank}].content\` is empty; give it a text`);
  }
  return turns;
}

function turnOf(turn: unknown, index: number): Message {
  const { role, content } = object(turn, `messages[${index}]`);
  const name = string(role, `messages[${index}].role`);
  if (name !== 'system' && name !== 'user' && name !== 'assistant') {
    throw new Refused(
      'unknown-role',
      `\`messages[${index}].role\` is ${oneLine(JSON.stringify(name), 40)}; ` +
        'use system, user or assistant',
    );
  }
  return { role: name, content: string(content, `messages[${index}].content`) };
}

function constraintsOf(constraints: unknown): readonly Constraint[] {
  if (!given(constraints)) return [];
  return array(constraints, 'constraints').map((constraint, index) => {
    const { id, arguments: inputs } = object(constraint, `constraints[${index}]`);
    return {
      id: string(id, `constraints[${index}].id`),
      arguments: given(inputs) ? argumentsOf(inputs, `constraints[${index}].arguments`) : '{}',
    };
  });
}

/** As an object, or as the JSON text of one. */
function argumentsOf(inputs: unknown, name: string): string {
  if (typeof inputs !== 'string') return JSON.stringify(object(inputs, name));
  try {
    if (isObject(JSON.parse(inputs))) return inputs.toWellFormed();
  } catch {
    // What it is instead is said below, for broken JSON and for another type alike.
  }
  throw wrongType(name, 'an object, or the JSON text of one', inputs);
}

/** IFEval lists types and arguments side by side, and its published file fills unused arguments with null. */
function ifevalConstraints(types: unknown, kwargs: unknown): readonly Constraint[] {
  if (!given(types)) {
    if (given(kwargs)) throw wrongType('instruction_id_list', 'an array beside `kwargs`', types);
    return [];
  }
  const ids = strings(types, 'instruction_id_list');
  const inputs = given(kwargs) ? array(kwargs, 'kwargs') : ids.map(() => ({}));
  if (inputs.length !== ids.length) {
    throw new Refused(
      'wrong-type',
      `\`kwargs\` has ${inputs.length} entries and \`instruction_id_list\` ${ids.length}; ` +
        'they must be as many',
    );
  }
  return ids.map((id, index) => {
    const entry = inputs[index];
    const fields = given(entry) ? Object.entries(object(entry, `kwargs[${index}]`)) : [];
    const set = fields.filter(([, value]) => given(value));
    return { id, arguments: JSON.stringify(Object.fromEntries(set)) };
  });
}

function judgeOf(value: unknown): JudgeBy {
  if (value === 'model' || value === 'code' || value === 'both') return value;
  throw wrongType('judge_by', 'model, code or both', value);
}

function identifier(value: unknown, name: string): string {
  if (exactJson.isRawJSON(value)) return value.rawJSON;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string' && value !== '') return value.toWellFormed();
  throw wrongType(name, 'a number or a text that is not empty', value);
}

type Fields = Readonly<Record<string, unknown>>;

const given = (value: unknown): boolean => value !== null && value !== undefined;

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' &&
  value !== null &&
  !Array.isArray(value) &&
  !exactJson.isRawJSON(value);

function object(value: unknown, name: string): Fields {
  if (isObject(value)) return value;
  throw wrongType(name, 'an object', value);
}

function array(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw wrongType(name, 'an array', value);
}

/** Half of a surrogate pair has no UTF-8: it becomes U+FFFD here rather than somewhere down the stream. */
function string(value: unknown, name: string): string {
  if (typeof value === 'string') return value.toWellFormed();
  throw wrongType(name, 'a text', value);
}

const strings = (value: unknown, name: string): readonly string[] =>
  array(value, name).map((item, index) => string(item, `${name}[${index}]`));

const wrongType = (name: string, expected: string, got: unknown): Refused =>
  new Refused('wrong-type', `\`${name}\` must be ${expected}, got ${kind(got)}`);

function kind(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (value === '') return 'an empty text';
  if (typeof value === 'string') return `the text ${oneLine(JSON.stringify(value), 40)}`;
  if (isObject(value)) return 'an object';
  return oneLine(JSON.stringify(value), 40);
}
