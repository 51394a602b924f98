import { onTestFinished } from 'vitest';
import { startSimulator, type Simulator } from '../../infra/simulator/server.ts';
import type { SimulatorSettings } from '../../infra/simulator/settings.ts';

/** A simulator that ends with its test. */
export async function started(change: Partial<SimulatorSettings> = {}): Promise<Simulator> {
  const simulator = await startSimulator(change);
  onTestFinished(() => simulator.close());
  return simulator;
}

export const user = (content: string) => ({ role: 'user', content });

export const question = 'Describe three rivers of Portugal for curious children. Use no commas.';

/** Prompts as some template might word them; only the protocol's marks are fixed. */
export const judgeMessages = (response: string, instruction = question) => [
  user(
    `Instruction:\n${instruction}\nResponse:\n${response}\nEnd with "Final Judgement: Yes" or No.`,
  ),
];

export const refineMessages = (response: string, instruction = question) => [
  ...judgeMessages(response, instruction),
  { role: 'assistant', content: 'It breaks something. Final Judgement: No' },
  user('Do better, and write the result between [[start]] and [[end]].'),
];

export interface Body {
  readonly choices: readonly {
    readonly message: {
      readonly content: string | null;
      readonly reasoning_content?: string;
    };
    readonly finish_reason: string;
  }[];
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number };
}

export interface Asking {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Asks for chat completions; what is not given has a usual value. */
export const post = (
  { url }: Pick<Simulator, 'url'>,
  body: Readonly<Record<string, unknown>>,
  { headers = {}, signal }: Asking = {},
): Promise<Response> =>
  fetch(`${url}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'simulated', seed: 1, messages: [user(question)], ...body }),
    ...(signal ? { signal } : {}),
  });

export async function ask(
  simulator: Pick<Simulator, 'url'>,
  body: Readonly<Record<string, unknown>> = {},
  asking: Asking = {},
): Promise<Body> {
  const response = await post(simulator, body, asking);
  if (response.status !== 200) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()) as Body;
}

export const contents = ({ choices }: Body): readonly string[] =>
  choices.map(({ message }) => message.content ?? '');

/** Until `holds`, or the test's own time is over. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2));
}
