import { pick, type Random } from './random.ts';

/** Stands in every garbage body, so that a test can prove that none of it came any further. */
export const garbageMarker = 'SIMULATED-GARBAGE';

export interface Garbage {
  readonly type: 'application/json' | 'text/html';
  readonly body: string;
  /** Whether the body reports usage, which a client should then count. */
  readonly usage: boolean;
}

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** A body with status 200 that holds no usable answer to a request for `n` choices, of one of five kinds. */
export function garbageFor(n: number, usage: Usage | undefined, random: Random): Garbage {
  const kinds = [
    (): Garbage => ({
      type: 'application/json',
      body: `{"choices":[{"index":0,"message":{"content":"${garbageMarker}`,
      usage: false,
    }),
    () => page(garbageMarker),
    () => json({ id: garbageMarker, object: 'chat.completion', usage }),
    () => json({ id: garbageMarker, choices: choices(n + 1, garbageMarker), usage }),
    () => json({ id: garbageMarker, choices: choices(n, null), usage }),
  ];
  return pick(kinds, random)();
}

/** What a wrong URL answers: a web page. */
export const page = (title: string): Garbage => ({
  type: 'text/html',
  body: `<!doctype html><html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`,
  usage: false,
});

const json = (
  body: Readonly<Record<string, unknown>> & { readonly usage: Usage | undefined },
): Garbage => ({
  type: 'application/json',
  body: JSON.stringify(body),
  usage: body.usage !== undefined,
});

const choices = (count: number, content: string | null) =>
  Array.from({ length: count }, (_, index) => ({
    index,
    message: { role: 'assistant', content },
    finish_reason: 'stop',
  }));
