/**
 * A model server in a process of its own, so that its cost is nobody else's: it reads of a request only how many
 * choices are wanted and the seed, and answers with texts that were made before. Other benches start it.
 *
 *   node test/bench/server.ts [--latency 0] [--fail 0.4] [--tell]
 *
 * --latency is how long every answer takes, milliseconds; --fail the share of judgements that say No. Prints its URL,
 * with --tell also when each call comes (milliseconds since 1970) and what it is for, and ends when its standard input
 * does.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    latency: { type: 'string', default: '0' },
    fail: { type: 'string', default: '0.4' },
    tell: { type: 'boolean', default: false },
  },
});
const latencyMs = Number(values.latency);
const failShare = Number(values.fail);

/** About as long as answers are: some 300 tokens of a response, 200 of a critique. */
const page = 'The tide took the letters that nobody had read, one after the other. '.repeat(17);
const critique = 'The response keeps to the topic, and the second requirement is met. '.repeat(12);

const choice = (index: number, text: string): string =>
  `{"index":${index},"message":{"role":"assistant","content":"${text}"},"finish_reason":"stop"}`;

const answers: Readonly<Record<string, (tag: string, failed: boolean) => string>> = {
  sample: (tag) => `${tag}. ${page}`,
  refine: (tag) => `I reflect. [[start]] ${tag}. ${page}[[end]]`,
  judge: (_tag, failed) => `${critique} Final Judgement: ${failed ? 'No' : 'Yes'}`,
};

/** The fields follow the messages, in whose texts they could not stand unescaped. */
const fields = /"n":(\d+),"seed":(\d+)/;

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method === 'GET') {
      response.end('{"object":"list","data":[{"id":"bench"}]}');
      return;
    }
    const end = Buffer.concat(chunks.slice(-2)).subarray(-400).toString('latin1');
    const [, n = '1', seed = '0'] = fields.exec(end) ?? [];
    const role = String(request.headers['x-spar-role'] ?? 'sample');
    if (values.tell) process.stdout.write(`${Date.now()} ${role}\n`);
    const text = answers[role] ?? answers['sample'];
    const failed = (Math.imul(Number(seed), 0x9e3779b1) >>> 0) / 2 ** 32 < failShare;
    const choices = Array.from({ length: Number(n) }, (_, index) =>
      choice(index, text?.(`Letter ${seed}-${index}`, failed) ?? ''),
    );
    const body =
      `{"id":"chatcmpl-0","object":"chat.completion","created":0,"model":"bench","choices":[${choices.join(',')}],` +
      `"usage":{"prompt_tokens":700,"completion_tokens":${300 * Number(n)},"total_tokens":${700 + 300 * Number(n)}}}`;
    const say = () => {
      response.setHeader('content-type', 'application/json');
      response.end(body);
    };
    if (latencyMs > 0) setTimeout(say, latencyMs);
    else say();
  });
});
server.listen(0, '127.0.0.1', 20_000, () => {
  const { port } = server.address() as AddressInfo;
  process.stdout.write(`http://127.0.0.1:${port}/v1\n`);
});
process.stdin.resume();
process.stdin.once('end', () => process.exit());
