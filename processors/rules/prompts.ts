import type { Message } from '../../schemas/records.ts';
import type { Settings } from '../settings.ts';

type Prompts = Settings['prompts'];

/** What the judge is shown: one user message with the instruction and one response to it. */
export const judgePrompt = (
  { judge }: Pick<Prompts, 'judge'>,
  messages: readonly Message[],
  response: string,
): readonly Message[] => [
  {
    role: 'user',
    content: fill(judge.template, { instruction: instructionText(messages), response }),
  },
];

/** What the refiner is shown: the judgement of a response as it was held, then the request to do better. */
export const refinePrompt = (
  prompts: Prompts,
  messages: readonly Message[],
  parent: { readonly text: string; readonly critique: string },
): readonly Message[] => [
  ...judgePrompt(prompts, messages, parent.text),
  { role: 'assistant', content: parent.critique },
  {
    role: 'user',
    content: fill(prompts.refine.template, {
      instruction: instructionText(messages),
      response: parent.text,
    }),
  },
];

/**
 * Puts values in the place of `{{name}}`, in a single pass: a value is hostile text, so a `{{response}}` or `$&`
 * in it stays what it is. A name without a value stays as it stands.
 */
export const fill = (template: string, values: Readonly<Record<string, string>>): string =>
  template.replace(/\{\{(\w+)\}\}/g, (mark, name: string) =>
    Object.hasOwn(values, name) ? (values[name] ?? mark) : mark,
  );

/** A single user message verbatim, as the reference shows it; anything else as a transcript with roles. */
export function instructionText(messages: readonly Message[]): string {
  const [first] = messages;
  if (first?.role === 'user' && messages.length === 1) return first.content;
  return messages.map(({ role, content }) => `[${role}]\n${content}`).join('\n\n');
}
