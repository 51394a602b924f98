import type { Iteration } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { firstSteps, groupOf, nameOnLog } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { rowIn } from '../codec/rows.ts';
import type { HomeView } from '../home/home.ts';
import type { GroupMember } from '../log/log.ts';
import { scan } from '../log/scan.ts';
import type { Audit } from '../../processors/rules/audit.ts';
import { latestAudit } from '../run/audit.ts';
import { accountOf, type Account } from '../run/account.ts';
import type { Settings } from '../../processors/settings.ts';
import {
  createBudget,
  isLimited,
  keptBudget,
  type BudgetSettings,
  type BudgetStanding,
} from '../run/budget.ts';
import { findIteration, settingsIn } from '../run/iteration.ts';
import { usualSpend } from '../run/plan.ts';
import { countsOf, type Counts } from '../run/summary.ts';
import { createTallyReader, type Tally } from '../run/tally.ts';
import { iterationOf } from '../runtime/headers.ts';
import { systemTime } from '../time.ts';
import { Window } from '../runtime/window.ts';

/** How an iteration stands, from its topics, whether a run is going on or not. */
export interface Standing {
  readonly iteration: string;
  readonly tally: Tally;
  readonly counts: Counts;
  /** What a pair has cost, and what was saved. */
  readonly account: Account;
  /** How far the votes agree with code, over the newest records. */
  readonly audit: Audit;
  /** In the order in which records travel. */
  readonly stages: readonly StageStanding[];
  /** Accepted refinements by their depth. */
  readonly depths: Readonly<Record<number, number>>;
  /** Sources that were not read to their end: instructions of theirs may be missing. */
  readonly unreadSources: readonly string[];
  /** Every source was read to its end, every instruction of theirs has ended, and no stage has work left. */
  readonly complete: boolean;
  /** Null if it was given none. */
  readonly budget: BudgetStanding | null;
}

export interface StageStanding {
  readonly stage: string;
  /** Records of this iteration that it has not finished. */
  readonly waiting: number;
  readonly partitions: readonly PartitionStanding[];
  readonly members: readonly GroupMember[];
}

/** Where a stage stands in one partition, over all iterations. */
export interface PartitionStanding {
  readonly partition: number;
  /** Everything below is finished. */
  readonly position: number;
  readonly end: number;
  /** Offsets from the position to the end, less those that are finished out of order. */
  readonly lag: number;
  /** Of these, the ones before the last that is finished: they were begun, as far as commits show. */
  readonly inFlight: number;
  /** Who works on it; null if nobody does, or the log does not know. */
  readonly member: string | null;
}

/** @param given a budget that whoever looks has in mind, in place of the one that the runs of this home were given */
export async function standingOf(
  view: HomeView,
  iteration: string,
  given: BudgetSettings | null = null,
): Promise<Standing> {
  const reader = createTallyReader(view.log, view.serde, view.pipeline, iteration);
  const tally = await reader.refresh().finally(() => reader.close());
  const stages = await stagesOf(view, iteration);
  const manifest = await findIteration(view.log, view.serde, view.pipeline, iteration);
  const unreadSources = manifest?.unread_sources ?? [];
  const counts = countsOf(view.counters(iteration));
  const votes = manifest ? settingsIn(manifest).judge.votes : 0;
  return {
    iteration,
    tally,
    counts,
    account: accountOf(tally, counts, votes),
    audit: await latestAudit(view, iteration),
    stages,
    depths: await depthsOf(view, iteration),
    unreadSources,
    complete:
      unreadSources.length === 0 &&
      tally.admitted > 0 &&
      tally.ended >= tally.admitted &&
      stages.every(({ waiting }) => waiting === 0),
    budget: manifest && (await budgetOf(view, settingsIn(manifest), given)),
  };
}

async function budgetOf(
  { log, serde, pipeline, isShared, counters, notes }: HomeView,
  settings: Settings,
  given: BudgetSettings | null,
): Promise<BudgetStanding | null> {
  const { iteration } = settings;
  const kept =
    given && isLimited(given)
      ? { ...given, guess: usualSpend(settings, {}) }
      : keptBudget(notes, iteration);
  if (!kept) return null;
  const budget = createBudget({
    settings: kept,
    guess: kept.guess,
    ...{ log, serde, pipeline, iteration, isShared },
    ledger: { total: counters, thisRun: {} },
    share: () => 0,
    isIdle: () => false,
    lookMs: 1000,
    time: systemTime,
  });
  await budget.look();
  await budget.stop();
  return budget.standing;
}

/** Every iteration that was opened in the home, in the order of their opening, as it was opened. */
export async function iterationsIn(view: HomeView): Promise<readonly Iteration[]> {
  const found = new Map<string, Iteration>();
  for await (const record of scan(view.log, nameOnLog(view.pipeline, topics.iterations))) {
    const manifest = await rowIn(view, topics.iterations, record);
    if (manifest && !found.has(manifest.id)) found.set(manifest.id, manifest);
  }
  return [...found.values()];
}

/**
 * The first stage reads each instruction for one iteration only, so records of others do not wait for it, however
 * many there are.
 */
async function stagesOf(
  { log, pipeline }: HomeView,
  iteration: string,
): Promise<readonly StageStanding[]> {
  const firsts = firstSteps(dataflow);
  const stages: StageStanding[] = [];
  for (const [stage, { from }] of Object.entries(dataflow)) {
    const group = groupOf(pipeline, stage, firsts.has(stage) ? iteration : null);
    const topic = nameOnLog(pipeline, from);
    const members = await log.members(group);
    const ends = new Map((await log.ends(topic)).map((end) => [end.partition, end]));
    const partitions: PartitionStanding[] = [];
    let waiting = 0;
    for (const { partition, position, metadata } of await log.committed(group, topic)) {
      const window = new Window(position, metadata);
      const { earliest = 0, latest = 0 } = ends.get(partition) ?? {};
      const from = Math.max(earliest, window.low);
      const done = window.doneFrom(from);
      partitions.push({
        partition,
        position,
        end: latest,
        lag: Math.max(0, latest - from - done),
        inFlight: Math.max(0, window.reach - from - done),
        member: members.find(({ partitions: theirs }) => theirs.includes(partition))?.id ?? null,
      });
      for (let next = position; ;) {
        const records = await log.read(topic, partition, next, page);
        const last = records.at(-1);
        if (!last) break;
        waiting += records.filter(
          (record) =>
            (iterationOf(record) ?? iteration) === iteration && !window.isDone(record.offset),
        ).length;
        next = last.offset + 1;
      }
    }
    stages.push({ stage, waiting, partitions, members });
  }
  return stages;
}

const page = { records: 1000, bytes: 8 * 1024 * 1024 };

async function depthsOf(view: HomeView, iteration: string): Promise<Standing['depths']> {
  const depths: Record<number, number> = {};
  for await (const record of scan(view.log, nameOnLog(view.pipeline, topics.refinements))) {
    if (iterationOf(record) !== iteration) continue;
    const refinement = await rowIn(view, topics.refinements, record);
    if (refinement) depths[refinement.depth] = (depths[refinement.depth] ?? 0) + 1;
  }
  return depths;
}
