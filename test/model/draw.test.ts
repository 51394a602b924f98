import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { drawsOf, shareOf, type Origin } from '../../infra/model/draw.ts';
import type { ModelRequest } from '../../processors/processor.ts';

const origin: Origin = {
  pipeline: 'spar',
  iteration: '1',
  seed: 0,
  instruction: 'i1',
  stage: 'judge',
  modelVersion: 'm@1',
};

const request: ModelRequest = {
  role: 'judge',
  messages: [{ role: 'user', content: 'Is it good?' }],
  sampling: { temperature: 0.7, top_p: 1, max_tokens: 2048, stop: ['</s>'] },
  draws: { path: '0', round: 0, attempt: 0, count: 5 },
};

const drawIds = (...of: Parameters<typeof drawsOf>): readonly string[] => drawsOf(...of).ids;

const withDraws = (change: Partial<ModelRequest['draws']>): ModelRequest => ({
  ...request,
  draws: { ...request.draws, ...change },
});
const withSampling = (change: Partial<ModelRequest['sampling']>): ModelRequest => ({
  ...request,
  sampling: { ...request.sampling, ...change },
});

describe('the id of a draw', () => {
  test('does not depend on how many are asked for together', () => {
    const five = drawIds(origin, request);
    expect(five).toHaveLength(5);
    expect(drawIds(origin, withDraws({ count: 2 }))).toEqual(five.slice(0, 2));
    expect(drawIds(origin, withDraws({ count: 9 })).slice(0, 5)).toEqual(five);
  });

  test('is 128 bits in hex, and the draws of one request differ', () => {
    const ids = drawIds(origin, withDraws({ count: 500 }));
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(ids).size).toBe(500);
  });

  test('is beside those of the same request, and of no other, where ids are sorted', () => {
    const requests = ['0', '1', '2'].map((path) => drawIds(origin, withDraws({ path, count: 40 })));
    const sorted = requests.flat().toSorted();
    const firsts = requests.map(([first = '']) => sorted.indexOf(first)).toSorted((a, b) => a - b);
    expect(firsts).toEqual([0, 40, 80]);
    for (const ids of requests) {
      const begin = sorted.indexOf(ids[0] ?? '');
      expect(sorted.slice(begin, begin + 40)).toEqual(ids);
    }
  });

  test.each<[string, Origin, ModelRequest]>([
    ['the pipeline', { ...origin, pipeline: 'other' }, request],
    ['the iteration', { ...origin, iteration: '2' }, request],
    ['the run seed', { ...origin, seed: 1 }, request],
    ['the instruction', { ...origin, instruction: 'i2' }, request],
    ['the stage', { ...origin, stage: 'evaluate' }, request],
    ['the model version', { ...origin, modelVersion: 'm@2' }, request],
    ['the node path', origin, withDraws({ path: '1' })],
    ['the round', origin, withDraws({ round: 1 })],
    ['the attempt', origin, withDraws({ attempt: 1 })],
    ['the prompt', origin, { ...request, messages: [{ role: 'user', content: 'Is it good? ' }] }],
    ['who says it', origin, { ...request, messages: [{ role: 'system', content: 'Is it good?' }] }],
    ['the temperature', origin, withSampling({ temperature: 0.8 })],
    ['top_p', origin, withSampling({ top_p: 0.9 })],
    ['max_tokens', origin, withSampling({ max_tokens: 2049 })],
    ['the stops', origin, withSampling({ stop: [] })],
  ])('%s changes it', (_what, otherOrigin, otherRequest) => {
    const before = new Set(drawIds(origin, request));
    expect(drawIds(otherOrigin, otherRequest).filter((id) => before.has(id))).toEqual([]);
  });

  const text = fc.string({ unit: 'binary', maxLength: 6 });
  const small = fc.integer({ min: 0, max: 3 });
  property.prop([
    fc.uniqueArray(fc.tuple(text, text, text, text, small, small, small), {
      minLength: 2,
      maxLength: 30,
      selector: (parts) => JSON.stringify(parts),
    }),
  ])('two different draws never share one, wherever the same letters stand', (all) => {
    const ids = all.map(([pipeline, iteration, instruction, path, round, attempt, seed]) =>
      drawIds(
        { ...origin, pipeline, iteration, instruction, seed },
        withDraws({ path, round, attempt, count: 1 }),
      ).join(),
    );
    expect(new Set(ids).size).toBe(all.length);
  });
});

describe('what is derived from it', () => {
  property.prop([fc.string(), fc.nat({ max: 64 })])(
    'the seed fits into 31 bits, which every server takes',
    (path, place) => {
      const seed = drawsOf(origin, withDraws({ path })).seedAt(place);
      expect(Number.isInteger(seed)).toBe(true);
      expect(seed).toBeGreaterThanOrEqual(0);
      expect(seed).toBeLessThan(2 ** 31);
      expect(drawsOf(origin, withDraws({ path, count: 65 })).seedAt(place)).toBe(seed);
    },
  );

  test('each draw of a request would have a seed of its own', () => {
    const { seedAt } = drawsOf(origin, request);
    expect(new Set(Array.from({ length: 100 }, (_, place) => seedAt(place))).size).toBe(100);
  });

  property.prop([fc.string(), fc.integer({ min: 1, max: 64 })])(
    'a share is one of so many, always the same for the same text',
    (value, count) => {
      const share = shareOf(value, count);
      expect(share).toBeGreaterThanOrEqual(0);
      expect(share).toBeLessThan(count);
      expect(shareOf(value, count)).toBe(share);
    },
  );

  test('shares are even, as far as chance goes', () => {
    const counts = [0, 0, 0, 0];
    for (let index = 0; index < 4000; index++) {
      const share = shareOf(`i${index}`, 4);
      counts[share] = (counts[share] ?? 0) + 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(120);
  });
});
