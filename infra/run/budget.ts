import { fullId } from '../../processors/rules/ids.ts';
import {
  pairsExpected,
  reserved,
  roomIn,
  roomUntil,
  type Account,
} from '../../processors/rules/budget.ts';
import type { Outcome, Spend } from '../../schemas/records.ts';
import { nameOnLog, type Topic } from '../../topology/topology.ts';
import { topics } from '../../topology/topics.ts';
import { rowIn } from '../codec/rows.ts';
import type { Serde } from '../codec/serde.ts';
import type { Config } from '../config/schema.ts';
import { roles } from '../config/settings.ts';
import { Unavailable, UsageError } from '../errors.ts';
import type { Journal } from '../journal/journal.ts';
import type { Log } from '../log/log.ts';
import type { Ledger } from '../model/ledger.ts';
import { onAborted } from '../signals.ts';
import type { Time } from '../time.ts';
import type { Endpoints } from './lanes.ts';
import { createTallyReader, follower, type Tally } from './tally.ts';

/** Beyond so much of a budget calls are broken off: what is begun may come out dearer than the mean. */
export const hardStopShare = 1.1;

/** What was spent on an iteration, what is held back for what is under way, and what is left, for one limit. */
export interface LimitStanding {
  readonly limit: number;
  readonly spent: number;
  /** For the instructions that are open: what they are expected to come to. */
  readonly reserved: number;
  readonly left: number;
}

/** How an iteration stands with its budget and its target; null for what was not limited. */
export interface BudgetStanding {
  readonly tokens: LimitStanding | null;
  readonly cost: LimitStanding | null;
  /** A target: `spent` are pairs that are there, `reserved` those that are expected of what is open. */
  readonly pairs: LimitStanding | null;
  /** Instructions that were begun and have not ended. */
  readonly open: number;
  /** Instructions that are there and were not begun. */
  readonly notBegun: number;
}

export type BudgetSettings = Config['budget'];

export const isLimited = ({ max_tokens, max_cost, pairs }: BudgetSettings): boolean =>
  max_tokens !== null || max_cost !== null || pairs !== null;

/** @throws UsageError if a limit of the cost could not be kept, since some role has no price */
export function checkBudget({ max_cost }: BudgetSettings, endpoints: Endpoints): void {
  if (max_cost === null) return;
  const unpriced = roles.filter((role) => endpoints[role]?.price === null);
  if (unpriced.length === 0) return;
  throw new UsageError(
    `a limit of the cost needs prices, and the ${unpriced.join(' and the ')} ${unpriced.length > 1 ? 'have' : 'has'} ` +
      'none: set models.default.price (prompt and completion, per million tokens) in the config, or ' +
      unpriced.map((role) => `models.${role}.price`).join(', '),
  );
}

/** A budget as the journal of a home remembers it, for those who only look. */
export interface KeptBudget extends BudgetSettings {
  readonly guess: BudgetOptions['guess'];
}

const noteOf = (iteration: string): string => `budget ${iteration}`;

/** Remembers the budget that an iteration has now, or that it has none any more. */
export async function keepBudget(
  journal: Pick<Journal, 'note' | 'setNote'>,
  iteration: string,
  budget: KeptBudget,
  time: Pick<Time, 'wall'>,
): Promise<void> {
  const name = noteOf(iteration);
  if (!isLimited(budget) && journal.note(name) === null) return;
  await journal.setNote(name, JSON.stringify({ ...budget, since: time.wall() }));
}

/** The budget that an iteration was last given; null if it has none. */
export function keptBudget(
  notes: (key: string) => readonly string[],
  iteration: string,
): KeptBudget | null {
  const [latest] = notes(noteOf(iteration))
    // Only `keepBudget` writes them.
    .map((json) => JSON.parse(json) as KeptBudget & { readonly since: number })
    .toSorted((one, other) => other.since - one.since);
  return latest && isLimited(latest) ? latest : null;
}

export interface BudgetOptions {
  readonly settings: BudgetSettings;
  /** What the first instructions are taken to come to, before any has ended: those of the iteration and its models. */
  readonly guess: { readonly tokens: number; readonly cost: number };
  readonly log: Log;
  readonly serde: Serde;
  readonly pipeline: string;
  readonly iteration: string;
  readonly ledger: Pick<Ledger, 'total' | 'thisRun'>;
  /**
   * Whether others may work on the iteration whose journals are not here: then what they have spent on open instructions
   * is read from the topics.
   */
  readonly isShared: boolean;
  /** What this process has of the work on instructions: 1 where it is alone. */
  readonly share: () => number;
  /** Whether the later stages of this process have nothing to do. */
  readonly isIdle: () => boolean;
  /** How often the topics are read on. */
  readonly lookMs: number;
  readonly time: Time;
}

/** What became of the budget: all that it allows was done, it was cut off, or the pairs are there. */
export type BudgetEnd = 'used-up' | 'cut-off' | 'target';

/** The budget of an iteration, over all of its runs and workers. */
export interface Budget {
  /** Resolves when the instruction may begin; rejects with the signal's reason if it aborts first. */
  admit(instruction: string, signal: AbortSignal): Promise<void>;
  /** Aborted when nothing may be asked for the iteration any more. */
  readonly cutOff: AbortSignal;
  /** A call was answered. */
  answered(): void;
  /** Reads where the iteration stands. */
  look(): Promise<void>;
  /** Looks, before anything is asked, and goes on looking. */
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves once there is nothing more to do within it; rejects if the topics cannot be read. */
  readonly ended: Promise<BudgetEnd>;
  /** The same as things stand, null until then. */
  readonly end: BudgetEnd | null;
  /** As of the last look; null before the first. */
  readonly standing: BudgetStanding | null;
  /** True while instructions wait that it does not admit. */
  readonly refuses: boolean;
}

/** After so long with nothing to do, open instructions are taken to be somebody else's, or nobody's. */
const leftMs = 60_000;

interface Waiting {
  readonly id: string;
  readonly signal: AbortSignal;
  readonly begin: () => void;
}

/**
 * Lets instructions begin while what was spent, and what the open ones are expected to come to, stays within the
 * limits. All of it follows from the journal's counters and the topics, so that it survives a crash, and several
 * workers need nobody between them: each lets no more begin than its share of what there is room for.
 *
 * It is always in one of these modes:
 *
 * - **open**: there is room, and whoever asks begins at once;
 * - **refusing**: there is none; those that ask wait, and whenever an instruction ends there may be room again;
 * - **ended**: there is none, nothing is open, and it will stay so; or the pairs are there;
 * - **cut off**: more than the hard stop allows was spent; calls are broken off, and what is open stays open.
 */
export function createBudget(options: BudgetOptions): Budget {
  const { settings, guess, log, serde, pipeline, iteration, ledger, time } = options;
  const tallies = createTallyReader(log, serde, pipeline, iteration, onOutcome);
  const followed = [
    follower(log, nameOnLog(pipeline, topics.responses), [iteration], (record) => {
      if (record.key !== null) onResponses(record.key);
    }),
    ...(options.isShared
      ? // Each of them carries all that was spent before.
        [
          spendOn(topics.responses),
          spendOn(topics.verdicts),
          spendOn(topics.expand),
          spendOn(topics.evaluate),
        ]
      : []),
  ];
  /** Instructions with responses that have not ended, and how many of their trees have. */
  const open = new Map<string, number>();
  /** The same for those whose responses were not read yet, or that have none; `Infinity` if they have ended. */
  const early = new Map<string, number>();
  const underWay = createOpenSpend();
  /** Those that this process lets begin and whose responses are not there yet, each with the signal that ends it. */
  const beginning = new Map<string, AbortSignal>();
  const waiting: Waiting[] = [];
  const cutOff = new AbortController();
  const over = new AbortController();
  const ended = Promise.withResolvers<BudgetEnd>();
  let end: BudgetEnd | null = null;
  let begun = 0;
  let idleSince = time.monotonic();
  let tally: Tally | null = null;
  /** What the journals counted at the last look, and this process until then. */
  let counted = { tokens: 0, cost: 0 };
  let countedHere = { tokens: 0, cost: 0 };
  let watching: Promise<void> = Promise.resolve();

  function onResponses(id: string): void {
    beginning.delete(id);
    if (open.has(id)) return;
    const trees = early.get(id);
    early.delete(id);
    if (trees === undefined) begun++;
    if (trees !== Infinity) open.set(id, trees ?? 0);
  }

  function onOutcome({ instruction_id, tree, trees, revision }: Outcome): void {
    const id = fullId(iteration, instruction_id);
    beginning.delete(id);
    const ended = (open.get(id) ?? early.get(id) ?? 0) + 1;
    const isOver = tree === null || ended >= trees;
    underWay.ended(id, isOver ? null : tree);
    if (open.has(id)) {
      if (isOver) open.delete(id);
      else open.set(id, ended);
    } else if (revision === 0) {
      // A retried dead letter has ended before: what comes of it was begun then.
      if (!early.has(id)) begun++;
      early.set(id, isOver ? Infinity : ended);
    }
  }

  function spendOn<Row extends OpenRow>(topic: Topic<Row>): () => Promise<void> {
    return follower(log, nameOnLog(pipeline, topic), [iteration], async (record) => {
      const row = await rowIn({ serde }, topic, record);
      if (!row) return;
      const id = fullId(iteration, row.instruction_id);
      if (open.has(id)) underWay.note(id, row.tree ?? null, amountsOf(row));
    });
  }

  const here = () => ({
    tokens: (ledger.thisRun['tokens.prompt'] ?? 0) + (ledger.thisRun['tokens.completion'] ?? 0),
    cost: ledger.thisRun['cost'] ?? 0,
  });

  /** What is known of: by the journals of this machine, or by the topics, if that is more. */
  function spent(what: 'tokens' | 'cost'): number {
    const now = counted[what] + here()[what] - countedHere[what];
    const onEnded = tally ? amountsOf(tally.spend)[what] : 0;
    return Math.max(now, onEnded + underWay.sum[what]);
  }

  const openNow = () => open.size + beginning.size;
  const accountOf = (what: 'tokens' | 'cost' | 'pairs'): Account => ({
    spent: what === 'pairs' ? (tally?.outcomes.paired ?? 0) : spent(what),
    ended: tally?.ended ?? 0,
    open: open.size,
  });
  const limits = [
    ['tokens', settings.max_tokens],
    ['cost', settings.max_cost],
  ] as const;

  /** Instructions that may begin beside those whose responses are there, wherever they begin. */
  function room(): number {
    // A target is to be reached, a budget is not to be passed.
    let least =
      settings.pairs === null ? Infinity : Math.ceil(roomUntil(settings.pairs, accountOf('pairs')));
    for (const [what, limit] of limits) {
      if (limit === null) continue;
      const account = accountOf(what);
      // Without a single one there would never be a mean.
      const first = account.ended === 0 && account.open === 0 && account.spent < limit ? 1 : 0;
      least = Math.min(least, Math.max(Math.floor(roomIn(limit, account, guess[what])), first));
    }
    return least;
  }

  /** All workers together begin no more than there is room for, and whoever has a share may always begin one. */
  function mayBegin(): boolean {
    if (tally === null || cutOff.signal.aborted) return false;
    const left = room();
    if (left < 1) return false;
    return beginning.size < Math.max(1, Math.floor(left * options.share()));
  }

  function letBegin(): void {
    while (waiting.length > 0 && !over.signal.aborted && mayBegin()) {
      const next = waiting.shift();
      if (!next) return;
      beginning.set(next.id, next.signal);
      next.begin();
      // One that was moved to the tail of its topic while it waited asks twice, and needs one place.
      for (const twin of waiting.filter(({ id }) => id === next.id)) {
        waiting.splice(waiting.indexOf(twin), 1);
        twin.begin();
      }
    }
  }

  /** Tried again, moved, or begun before a restart or a rejoin: whoever works on it now holds its place. */
  function hasBegun(id: string, signal: AbortSignal): boolean {
    if (beginning.has(id)) beginning.set(id, signal);
    return beginning.has(id) || open.has(id);
  }

  function check(): void {
    if (tally === null) return;
    const isOver = limits.some(
      ([what, limit]) => limit !== null && spent(what) >= limit * hardStopShare,
    );
    if (isOver) {
      cutOff.abort(new Error(`iteration ${iteration} has spent more than its budget`));
      endWith('cut-off');
    } else if (settings.pairs !== null && tally.outcomes.paired >= settings.pairs) {
      endWith('target');
    } else if (waiting.length > 0 && !mayBegin() && (openNow() === 0 || isLeft())) {
      endWith('used-up');
    }
  }

  /** What is open is not for this process to end, if it is for any: a topic may have been cleared of it. */
  function isLeft(): boolean {
    const now = time.monotonic();
    if (beginning.size > 0 || !options.isIdle()) idleSince = now;
    return now - idleSince >= leftMs;
  }

  function endWith(reached: BudgetEnd): void {
    if (end === null || end === 'used-up') end = reached;
    ended.resolve(reached);
  }

  async function look(): Promise<void> {
    const now = here();
    const total = ledger.total(iteration);
    for (const follow of followed) await follow();
    // Given up with its partition: whoever has that now begins it anew.
    for (const [id, signal] of beginning) if (signal.aborted) beginning.delete(id);
    const fresh = await tallies.refresh();
    counted = {
      tokens: (total['tokens.prompt'] ?? 0) + (total['tokens.completion'] ?? 0),
      cost: total['cost'] ?? 0,
    };
    countedHere = now;
    tally = fresh;
    letBegin();
    check();
  }

  async function watch(): Promise<void> {
    const { signal } = over;
    for (;;) {
      await time.sleep(options.lookMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      await look().catch((error: unknown) => {
        // What cannot be read for a while is read later; until then nothing new begins.
        if (!(error instanceof Unavailable)) throw error;
      });
    }
  }

  const standingOf = (what: 'tokens' | 'cost' | 'pairs', limit: number | null) => {
    if (limit === null) return null;
    const account = { ...accountOf(what), open: openNow() };
    const held = what === 'pairs' ? pairsExpected(account) : reserved(account, guess[what]);
    const left = Math.max(0, limit - account.spent - held);
    return { limit, spent: account.spent, reserved: held, left };
  };

  return {
    cutOff: cutOff.signal,
    ended: ended.promise,
    get end() {
      // Another worker may have had room, and what it began be seen only now.
      return end === 'used-up' && openNow() > 0 ? null : end;
    },
    look,
    get refuses() {
      return waiting.length > 0;
    },
    get standing() {
      if (tally === null) return null;
      const { admitted } = tally;
      return {
        tokens: standingOf('tokens', settings.max_tokens),
        cost: standingOf('cost', settings.max_cost),
        pairs: standingOf('pairs', settings.pairs),
        open: openNow(),
        notBegun: Math.max(0, admitted - begun - beginning.size),
      };
    },
    async admit(instruction, signal) {
      const id = fullId(iteration, instruction);
      if (hasBegun(id, signal)) return;
      // A repeat of what was sampled before asks nothing, waits for nobody, and has no place: nothing would end it.
      if (await log.latest(nameOnLog(pipeline, topics.responses), id)) return;
      signal.throwIfAborted();
      if (hasBegun(id, signal)) return;
      const { promise, resolve, reject } = Promise.withResolvers<undefined>();
      const entry: Waiting = { id, signal, begin: () => resolve(undefined) };
      const leave = () => {
        const index = waiting.indexOf(entry);
        if (index >= 0) waiting.splice(index, 1);
        reject(signal.reason as Error);
      };
      const stopWaiting = onAborted(signal, leave);
      waiting.push(entry);
      letBegin();
      try {
        await promise;
      } finally {
        stopWaiting();
      }
    },
    answered: check,
    async start() {
      await look();
      watching = watch();
      watching.catch(ended.reject);
    },
    async stop() {
      over.abort(new Error('the work is over'));
      await watching.catch(() => undefined);
      // How it stands in the end is what people are told.
      await look().catch(() => undefined);
      tallies.close();
    },
  };
}

type OpenRow = Spend & { readonly instruction_id: string; readonly tree?: number };

interface Amounts {
  readonly tokens: number;
  readonly cost: number;
}

const amountsOf = ({ prompt_tokens, completion_tokens, cost }: Spend): Amounts => ({
  tokens: prompt_tokens + completion_tokens,
  cost: cost ?? 0,
});

/** What was spent on instructions that have not ended, by the latest that was read of each of their trees. */
function createOpenSpend(): {
  readonly sum: Amounts;
  /** @param tree null for what came before the trees, which the first of them takes over */
  note(id: string, tree: number | null, spent: Amounts): void;
  /** @param tree null for all of it */
  ended(id: string, tree: number | null): void;
} {
  const byTree = new Map<string, Map<number | null, Amounts>>();
  const sum = { tokens: 0, cost: 0 };
  const add = ({ tokens, cost }: Amounts, sign: 1 | -1) => {
    sum.tokens += sign * tokens;
    sum.cost += sign * cost;
  };
  const forget = (trees: Map<number | null, Amounts>, tree: number | null) => {
    const before = trees.get(tree);
    if (before && trees.delete(tree)) add(before, -1);
  };
  return {
    sum,
    note(id, tree, spent) {
      const trees = byTree.get(id) ?? new Map<number | null, Amounts>();
      byTree.set(id, trees);
      // Topics are read one after the other: what is less came earlier.
      if ((trees.get(tree)?.tokens ?? 0) > spent.tokens) return;
      if (tree === null && [...trees.keys()].some((known) => known !== null)) return;
      if (tree !== null) forget(trees, null);
      forget(trees, tree);
      trees.set(tree, spent);
      add(spent, 1);
    },
    ended(id, tree) {
      const trees = byTree.get(id);
      if (!trees) return;
      for (const known of tree === null ? [...trees.keys()] : [tree]) forget(trees, known);
      if (tree === null) byTree.delete(id);
    },
  };
}
