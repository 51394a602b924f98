import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import { onTestFinished } from 'vitest';
import type { Call, Endpoint } from '../../infra/model/endpoint.ts';
import { openAiEndpoint, type OpenAiSettings } from '../../infra/model/openai.ts';
import { startSimulator, type Simulator } from '../../infra/simulator/server.ts';
import type { SimulatorSettings } from '../../infra/simulator/settings.ts';

export const never = new AbortController().signal;

/** A small call; what matters to a test is changed by it. */
export const callOf = (change: Partial<Call> = {}): Call => ({
  purpose: 'sample',
  messages: [{ role: 'user', content: 'Write two lines about rain.' }],
  sampling: { temperature: 0.9, top_p: 0.8, max_tokens: 64, stop: [] },
  n: 1,
  seed: 7,
  deadlineMs: 5_000,
  ...change,
});

/** The real client, closed when the test is over. */
export function clientOf(
  url: string,
  change: Partial<OpenAiSettings> = {},
): Endpoint & { close(): Promise<void> } {
  const endpoint = openAiEndpoint({
    url,
    model: 'simulated',
    apiKey: null,
    extraBody: {},
    maxConnections: 8,
    ...change,
  });
  onTestFinished(() => endpoint.close());
  return endpoint;
}

/** A simulator for one test. */
export async function simulatorOf(change: Partial<SimulatorSettings> = {}): Promise<Simulator> {
  const simulator = await startSimulator(change);
  onTestFinished(() => simulator.close());
  return simulator;
}

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readonly<Record<string, unknown>>;
}

/** A server that says whatever the test wants, and remembers what it was sent. */
export async function serverOf(
  answer: (response: ServerResponse, received: Received) => void,
): Promise<{ readonly url: string; readonly received: readonly Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString();
      const one = {
        path: request.url ?? '',
        headers: request.headers,
        body: (text === '' ? {} : JSON.parse(text)) as Received['body'],
      };
      received.push(one);
      answer(response, one);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  return { url: `http://127.0.0.1:${port}/v1`, received };
}

/** Answers with this JSON. */
export const says =
  (body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}) =>
  (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  };

/** A chat completion with these choices. */
export const completion = (
  messages: readonly Readonly<Record<string, unknown>>[],
  usage: unknown = { prompt_tokens: 11, completion_tokens: 22 },
) => ({
  choices: messages.map((message, index) => ({
    index,
    message: { role: 'assistant', ...message },
    finish_reason: 'stop',
  })),
  usage,
});
