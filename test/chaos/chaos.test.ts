import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { pick, pickSome, randomOf, type Random } from '../../infra/simulator/random.ts';
import { createCrew, type Crew } from './crew.ts';
import { startPipeline, type Pipeline, type PipelineOptions } from './pipeline.ts';
import {
  lagOf,
  readLedger,
  untilOutcomes,
  verifyCalls,
  verifyRecords,
  watchInFlight,
  watchOffsets,
} from './verifier.ts';

/**
 * Real workers, a real broker, and whatever can befall them, while about 4,000 calls are in flight. Every choice
 * comes from CHAOS_SEED, which is printed; what an outside witness saw is printed as JSON, and written to the folder
 * CHAOS_REPORTS if there is one.
 */
const seed = Number(process.env['CHAOS_SEED'] ?? 1);

const load: PipelineOptions = {
  instructions: Number(process.env['CHAOS_INSTRUCTIONS'] ?? 10_000),
  partitions: 6,
  inFlight: 4000,
  latencyMs: 8000,
  decodeMs: 10,
  seed: 1,
};
const workers = 3;

interface Scene {
  readonly crew: Crew;
  readonly pipeline: Pipeline;
  readonly random: Random;
  /** Aborted when there is nothing left to do. */
  readonly over: AbortSignal;
  /** Waits between `least` and `most` ms, as the seed says; true once all is over. */
  readonly pause: (least: number, most: number) => Promise<boolean>;
}

/** Everything has ended after this long, or nothing will. */
const boundMs = 8 * 60_000;

async function play(name: string, chaos: (scene: Scene) => Promise<void>) {
  const random = randomOf('chaos', name, seed);
  const pipeline = await startPipeline(load);
  const { brokers } = pipeline.broker;
  const crew = createCrew(pipeline);
  const offsets = watchOffsets(brokers, pipeline.name);
  const inFlight = watchInFlight(pipeline.modelUrl);
  const over = new AbortController();
  const bound = AbortSignal.any([AbortSignal.timeout(boundMs), crew.deserted]);
  const startedMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedMs) / 1000);
  let ended = 0;
  const told = setInterval(() => {
    process.stderr.write(`${name} ${seconds()} s: ${ended} of ${load.instructions} have ended\n`);
  }, 10_000);
  try {
    for (let count = 0; count < workers; count++) crew.hire();
    const scene: Scene = {
      crew,
      pipeline,
      random,
      over: over.signal,
      pause: async (least, most) => {
        const ms = least + random() * (most - least);
        await sleep(ms, null, { signal: over.signal }).catch(() => null);
        return over.signal.aborted;
      },
    };
    const playing = chaos(scene);
    const complete = (async () => {
      await pipeline.ingest();
      await untilOutcomes({
        brokers,
        pipeline: pipeline.name,
        instructions: load.instructions,
        signal: bound,
        progress: (count) => (ended = count),
      });
    })();
    const failure = await complete.then(
      () => null,
      (error: unknown) => String(error),
    );
    const busySeconds = seconds();
    const { most, mean } = inFlight;
    over.abort();
    inFlight.stop();
    await playing;
    let lag = await lagOf(brokers, pipeline.name);
    for (let tries = 0; lag > 0 && tries < 120; tries++) {
      await sleep(500);
      lag = await lagOf(brokers, pipeline.name);
    }
    await Promise.all(crew.present.map((worker) => crew.dismiss(worker)));
    await offsets.stop();
    const ledger = await readLedger(pipeline.modelUrl);
    const calls = verifyCalls(ledger, crew.blows);
    const records = await verifyRecords(brokers, pipeline.name);
    const figures = {
      scenario: name,
      seed,
      seconds: busySeconds,
      failure,
      ended,
      inFlight: { most, mean },
      blows: crew.blows.length,
      ...calls,
      ...records,
      offsets: { samples: offsets.samples, movedBack: offsets.movedBack },
      lagAtRest: lag,
      deserters: crew.deserters,
      events: crew.events,
    };
    const text = JSON.stringify(figures, null, 2);
    process.stderr.write(`${text}\n`);
    const folder = process.env['CHAOS_REPORTS'];
    if (folder) {
      writeFileSync(join(folder, `${name}-${seed}.json`), text);
      writeFileSync(
        join(folder, `${name}-${seed}-calls.json`),
        JSON.stringify({ ledger, blows: crew.blows }),
      );
    }
    return figures;
  } finally {
    clearInterval(told);
    inFlight.stop();
    over.abort();
    await offsets.stop();
  }
}

function sound(figures: Awaited<ReturnType<typeof play>>): void {
  expect(figures).toMatchObject({
    failure: null,
    instructions: load.instructions,
    lost: [],
    doubled: [],
    deadLetters: 0,
    offsets: { movedBack: [] },
    repeatedForNoReason: 0,
    lagAtRest: 0,
    deserters: [],
  });
}

test('calm: nothing happens', async () => {
  sound(await play('calm', () => Promise.resolve()));
});

test('kills: a worker is killed at any moment, and another one takes its place, ten times', async () => {
  const figures = await play('kills', async ({ crew, random, pause }) => {
    for (let kills = 0; kills < 10; kills++) {
      if (await pause(5000, 12_000)) return;
      await crew.kill(pick(crew.present, random));
      crew.hire();
    }
  });
  sound(figures);
});

test('freeze: a worker is stopped until it has lost its partitions, and goes on', async () => {
  const figures = await play('freeze', async ({ crew, random, pause }) => {
    for (let freezes = 0; freezes < 2; freezes++) {
      if (await pause(15_000, 20_000)) return;
      await crew.freeze(pick(crew.present, random), 30_000);
    }
  });
  sound(figures);
});

test('joins: a worker comes or goes every ten seconds', async () => {
  const figures = await play('joins', async ({ crew, random, pause }) => {
    for (let moves = 0; moves < 10; moves++) {
      if (await pause(10_000, 10_000)) return;
      if (crew.present.length <= workers) crew.hire();
      else void crew.dismiss(pick(crew.present, random));
    }
  });
  sound(figures);
});

test('broker: it is killed in the midst of transactions, and comes back', async () => {
  const figures = await play('broker', async ({ crew, pipeline: { broker }, pause }) => {
    for (let kills = 0; kills < 4; kills++) {
      if (await pause(12_000, 20_000)) return;
      await broker.kill();
      crew.note('the broker is killed');
      await pause(0, 5000);
      await broker.restart();
      crew.note('the broker is back');
    }
  });
  sound(figures);
});

const deeds = ['kill', 'freeze', 'join', 'leave', 'broker'] as const;

test('all of it together: blows in any order, some at the same time', async () => {
  const figures = await play('all', async ({ crew, pipeline: { broker }, random, pause }) => {
    const goingOn: Promise<void>[] = [];
    // Each of them three times, in an order that the seed says.
    for (const deed of pickSome([...deeds, ...deeds, ...deeds], 3 * deeds.length, random)) {
      if (await pause(3000, 10_000)) break;
      // Somebody has to be there.
      if (deed === 'join' || crew.present.length < 2) crew.hire();
      else if (deed === 'kill') {
        await crew.kill(pick(crew.present, random));
        crew.hire();
      } else if (deed === 'freeze') goingOn.push(crew.freeze(pick(crew.present, random), 30_000));
      else if (deed === 'leave') goingOn.push(crew.dismiss(pick(crew.present, random)));
      else {
        await broker.kill();
        crew.note('the broker is killed');
        await pause(0, 5000);
        await broker.restart();
        crew.note('the broker is back');
      }
    }
    await Promise.all(goingOn);
  });
  sound(figures);
});
