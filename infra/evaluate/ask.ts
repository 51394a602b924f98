import { setMaxListeners } from 'node:events';
import { PermanentError } from '../../processors/processor.ts';
import type { Sampling } from '../../processors/settings.ts';
import type { Config } from '../config/schema.ts';
import type { ResolvedEndpoint } from '../config/settings.ts';
import { RunError } from '../errors.ts';
import type { Home } from '../home/home.ts';
import { ahead } from '../input/ahead.ts';
import { CallError } from '../model/endpoint.ts';
import { createGateway } from '../model/gateway.ts';
import { createLedger } from '../model/ledger.ts';
import { retriesOf } from '../run/engine.ts';
import { openLanes, remarksOn, type Connect } from '../run/lanes.ts';
import { sentence } from '../text.ts';
import type { Time } from '../time.ts';
import type { Task } from './benchmark.ts';

export interface AskOptions {
  readonly home: Pick<Home, 'journal' | 'pipeline'>;
  readonly config: Config;
  readonly endpoint: ResolvedEndpoint;
  readonly connect: Connect;
  readonly sampling: Sampling;
  /** Answers under another name are asked for anew. */
  readonly name: string;
  readonly time: Time;
  /** A sentence for the person in front of it. */
  readonly notice: (message: string) => void;
  readonly progress: (done: number) => void;
  /** Aborted to stop: what is answered stays in the journal. */
  readonly stop: AbortSignal;
}

/** What the model said to a task, or why it said nothing. */
export type Answer = { readonly text: string; readonly cut: boolean } | { readonly failed: string };

export interface Asked {
  /** In the order of the tasks; fewer of them if it was stopped. */
  readonly answers: readonly Answer[];
  readonly counters: Readonly<Record<string, number>>;
}

/**
 * One answer to each task, by way of the gateway: what the journal has is not asked again, and every answer is on
 * disk before it is counted.
 *
 * @throws RunError if the endpoint cannot be used, or stays down
 */
export async function ask(tasks: readonly Task[], options: AskOptions): Promise<Asked> {
  const { home, config, endpoint, name, time, stop } = options;
  const ledger = createLedger(home.journal);
  // A name that no iteration can have, since the counters of both are in one place.
  const iteration = `evaluate/${name}`;
  const actor = { ...endpoint, choicesWanted: 1 };
  const { probe_ms: probeMs, down_ms: downMs, shutdown_ms: shutdownMs } = config.limits;
  const lanes = openLanes({ actor }, options.connect, retriesOf(config), probeMs, time);
  lanes.probeWith(home.journal, ledger, iteration);
  const aborted = new AbortController();
  // Every call in flight listens for the end.
  setMaxListeners(0, aborted.signal);
  const ready = async () => {
    for (const one of await lanes.ready(aborted.signal)) {
      // That n is not honoured is of no interest to whoever asks for one answer.
      if (one.capabilities.n === 'honoured') remarksOn(one).forEach(options.notice);
    }
  };
  const gateway = createGateway(lanes.roles, home.journal, ledger, time, ready);
  const versions = { actor: actor.version, judge: actor.version, refiner: actor.version };

  const answerTo = async (task: Task, order: number): Promise<Answer> => {
    const { pipeline } = home;
    const origin = {
      pipeline,
      iteration,
      seed: config.seed,
      instruction: task.id,
      stage: 'evaluate',
    };
    const model = gateway.model(origin, versions, { rank: 0, order });
    const draws = { path: 's', round: 0, attempt: 0, count: 1 };
    const request = {
      role: 'actor',
      messages: task.messages,
      sampling: options.sampling,
      draws,
    } as const;
    for (let tries = 1; ; tries++) {
      try {
        const { choices } = await model.ask(request, aborted.signal);
        const [choice] = choices;
        return { text: choice?.text ?? '', cut: choice?.finish_reason === 'length' };
      } catch (error) {
        if (error instanceof PermanentError) return { failed: error.message };
        if (!(error instanceof CallError) || aborted.signal.aborted) throw error;
        if (tries >= config.retries.record_attempts) return { failed: error.message };
        await time.sleep(config.retries.first_delay_ms * tries, aborted.signal);
      }
    }
  };

  const answers: Answer[] = [];
  const work = async () => {
    let order = 0;
    // Twice what the endpoint takes: enough to keep it full, however long the file is.
    const most = 2 * actor.maxInFlight * actor.urls.length;
    for await (const answer of ahead(
      ReadableStream.from(tasks),
      (task) => answerTo(task, order++),
      most,
    )) {
      answers.push(answer);
      options.progress(answers.length);
    }
  };
  /** Ends when an endpoint has been down for too long. */
  const watch = async (): Promise<never> => {
    for (;;) {
      await time.sleep(watchMs, aborted.signal);
      for (const { policy, endpoint } of lanes.all) {
        if (!policy.down || time.monotonic() - policy.down.sinceMs < downMs) continue;
        throw new RunError(
          `${endpoint.name} stays down: ${sentence(policy.down.error)} ` +
            'Nothing is lost: the same command goes on.',
        );
      }
    }
  };
  const stopped = Promise.withResolvers<undefined>();
  const onStop = () => stopped.resolve(undefined);
  stop.addEventListener('abort', onStop, { once: true });
  if (stop.aborted) onStop();
  const working = work();
  const watching = watch();
  // Whichever loses the race ends with the rest, and has nobody else to hear it.
  for (const one of [working, watching]) one.catch(() => undefined);
  try {
    await Promise.race([working, watching, stopped.promise]);
    if (stop.aborted) await lanes.finish(ledger, shutdownMs);
  } finally {
    stop.removeEventListener('abort', onStop);
    aborted.abort(new Error('the evaluation is over'));
    gateway.close();
    await lanes.close();
  }
  return { answers: [...answers], counters: ledger.thisRun };
}

const watchMs = 500;
