import { createHash } from 'node:crypto';
import {
  CallError,
  type Call,
  type CallAnswer,
  type Endpoint,
} from '../../infra/model/endpoint.ts';

export interface InstantModelSettings {
  /** Share of sampled responses that fail. */
  readonly failRate: number;
  /** Share of refinements that pass. */
  readonly refineRate: number;
  /** Whether `calls` remembers them; true unless said otherwise. */
  readonly keepCalls?: boolean;
}

export interface InstantModel extends Endpoint {
  /** Every call that was answered, in order of arrival. */
  readonly calls: readonly Call[];
  close(): Promise<void>;
}

/**
 * A model within the process that answers at once. What it says depends on the seed, the choice and the prompt
 * alone; a text is good if it says so.
 */
export function instantModel(settings: InstantModelSettings): InstantModel {
  const calls: Call[] = [];
  return {
    name: 'instant',
    calls,
    send: (call, signal) => {
      if (signal.aborted) return Promise.reject(signal.reason as Error);
      if (settings.keepCalls !== false) calls.push(call);
      return Promise.resolve(answer(call, settings));
    },
    models: () => Promise.resolve([{ id: 'instant', context_tokens: null }]),
    close: () => Promise.resolve(),
  };
}

/** One that cannot be reached. */
export const deadModel = (): InstantModel => ({
  name: 'dead',
  calls: [],
  send: () => Promise.reject(new CallError('down', 'dead cannot be reached')),
  models: () => Promise.reject(new CallError('down', 'dead cannot be reached')),
  close: () => Promise.resolve(),
});

function answer(call: Call, settings: InstantModelSettings): CallAnswer {
  const last = call.messages.at(-1)?.content ?? '';
  const choices = Array.from({ length: call.n }, (_, index) => {
    const chance = fraction([call.seed, index, call.messages]);
    const tag = Math.floor(chance * 1e6).toString(36);
    if (last.includes('[[start]]')) {
      const text = chance < settings.refineRate ? `good ${tag}` : `bad ${tag}`;
      return `I reflect. [[start]] ${text} [[end]]`;
    }
    if (last.includes('Final Judgement')) {
      const good = /\bgood [0-9a-z]+\s/.test(last);
      return `It is ${good ? 'good' : 'bad'}. Final Judgement: ${good ? 'Yes' : 'No'}`;
    }
    return chance < settings.failRate ? `bad ${tag}` : `good ${tag}`;
  });
  return {
    choices: choices.map((content) => ({ content, reasoning: null, finish_reason: 'stop' })),
    usage: {
      prompt_tokens: Math.ceil(JSON.stringify(call.messages).length / 4),
      completion_tokens: choices.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0),
    },
  };
}

const fraction = (value: unknown): number =>
  createHash('sha256').update(JSON.stringify(value)).digest().readUIntBE(0, 6) / 2 ** 48;
