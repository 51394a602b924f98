import { Cancelled, PermanentError } from '../../processors/processor.ts';
import type { Model, ModelAnswer, ModelRequest, Role } from '../../processors/processor.ts';
import { splitReasoning } from '../../processors/rules/reasoning.ts';
import { addSpend, noSpend } from '../../processors/rules/spend.ts';
import type { Spend } from '../../schemas/records.ts';
import { GivenUp } from '../errors.ts';
import type { Journal, JournalEntry } from '../journal/journal.ts';
import { onAborted, unlessAborted } from '../signals.ts';
import { StorageError } from '../sqlite.ts';
import type { Time } from '../time.ts';
import { drawsOf, shareOf, type Origin } from './draw.ts';
import {
  CallError,
  type Call,
  type CallAnswer,
  type Endpoint,
  type Purpose,
  type Usage,
} from './endpoint.ts';
import type { Ledger } from './ledger.ts';
import type { Policy } from './policy.ts';
import type { CallQueue, Turn } from './queue.ts';

/** An endpoint with everything that is learnt about it: one per URL and model, shared by the roles that use it. */
export interface Lane {
  readonly endpoint: Endpoint;
  readonly queue: CallQueue;
  readonly policy: Policy;
  /** Choices that the server gives to one request: 1 where `n` is not honoured, else as many as one likes. */
  choicesMax: number;
  /** False where the reported usage covers only one of n choices. */
  usageCoversAll: boolean;
}

/** Who answers for a role. */
export interface RoleLanes {
  /** Replicas of the same model; calls with the same prompt go to the same one. */
  readonly lanes: readonly [Lane, ...Lane[]];
  /** What records call the model; other versions are not this one's to answer for. */
  readonly version: string;
  /** Price per million tokens; null if unknown. */
  readonly price: { readonly prompt: number; readonly completion: number } | null;
  /** Choices that one request may ask for. */
  readonly choicesMax: number;
  /** How long one call may take. */
  readonly deadlineMs: number;
}

/** In which order calls are served: see `CallQueue`. */
export type Priority = Omit<Turn, 'ask'>;

export interface Gateway {
  /** Whether the model behind the role is the one that an iteration was opened with. */
  serves(role: Role, version: string): boolean;
  /** The model as one record's processor sees it. */
  model(
    origin: Omit<Origin, 'modelVersion'>,
    versions: Readonly<Record<Role, string>>,
    priority: Priority,
  ): Model;
  /** Draws that are still under way, although whoever wanted them here has given them up. */
  underWay(): readonly string[];
  /** Calls back with draws that have ended, in the journal or in vain; returns the way out. */
  onEnded(listener: (draws: readonly string[]) => void): () => void;
  /** Breaks off what nobody here waits for any more. */
  close(): void;
}

const purposeOf: Readonly<Record<Role, Purpose>> = {
  actor: 'sample',
  judge: 'judge',
  refiner: 'refine',
};

/**
 * Between the processors and the model servers: every draw has an id; what the journal has is not asked again,
 * what is being asked is joined, and an answer is journaled whole before anyone sees it.
 */
export function createGateway(
  roles: Readonly<Partial<Record<Role, RoleLanes>>>,
  journal: Journal,
  ledger: Ledger,
  time: Time,
  /** Resolves when the endpoints are known to answer; asked before the first call, and never if none is made. */
  ready: (signal: AbortSignal) => Promise<unknown>,
  /**
   * Resolves when another process is no longer asking for the draw; null if none is known to be at it. Left out where
   * there is no other process.
   */
  elsewhere?: (draw: string) => Promise<void> | null,
  /** Aborted when nothing may be asked for the iteration any more; null if nothing limits it. */
  cutOff: (iteration: string) => AbortSignal | null = () => null,
): Gateway {
  /** Draws that are being asked for; it is bounded by the records in flight. */
  const underWay = new Map<string, Asked>();
  let isReady = false;
  let asks = 0;
  /** Draws that are asked for, by where. */
  const loads = new Map<Lane, number>();
  const loadOf = (lane: Lane) => loads.get(lane) ?? 0;
  /** When a call last had its turn, and what is waited for after a long while without one. */
  let turnMs = -Infinity;
  let catchingUp: Promise<void> | null = null;
  const listeners = new Set<(draws: readonly string[]) => void>();
  /** Calls that were sent, each with the way to break it off. */
  const sent = new Set<AbortController>();

  return {
    underWay: () => [...underWay].flatMap(([id, { askers }]) => (askers === 0 ? [id] : [])),
    onEnded(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      for (const call of sent) call.abort(new Error('the process ends'));
    },
    serves: (role, version) => roles[role]?.version === version,
    model: (origin, versions, priority) => ({
      async ask(request, signal) {
        for (;;) {
          try {
            return await answerTo(request, { origin, versions, priority }, signal);
          } catch (error) {
            // Another who had asked for the same, and whom we had joined, has given it up: now it is ours to ask.
            if (!(error instanceof GivenUp || error instanceof Cancelled) || signal.aborted) {
              throw error;
            }
          }
        }
      },
    }),
  };

  async function answerTo(
    request: ModelRequest,
    { origin, versions, priority }: Asker,
    signal: AbortSignal,
  ): Promise<ModelAnswer> {
    const { ids, seedAt } = drawsOf({ ...origin, modelVersion: versions[request.role] }, request);
    let known = journal.find(ids);
    if (!isReady && known.includes(null)) {
      await ready(signal);
      isReady = true;
      // Others may have been answered meanwhile.
      known = journal.find(ids);
    }
    const waits = elsewhere
      ? ids.flatMap((id, place) => (known[place] || underWay.has(id) ? [] : (elsewhere(id) ?? [])))
      : [];
    if (waits.length > 0) {
      await unlessAborted(Promise.all(waits), signal);
      known = journal.find(ids);
    }
    const fresh = [...ids.keys()].filter(
      (place) => !known[place] && !underWay.has(ids[place] as string),
    );
    const role = roles[request.role];
    // `serves` said so before the record began.
    if (!role) throw new Error(`nobody here answers for the ${request.role}`);
    const lane = laneFor(role, origin.instruction, fresh.length, loadOf);
    const turn = { ...priority, ask: asks++ };
    for (const places of chunks(fresh, Math.min(lane.choicesMax, role.choicesMax))) {
      const group = places.map((place) => ids[place] as string);
      const seed = seedAt(places[0] as number);
      const entries = askFor(group, request, { origin, role, lane, turn, seed }, signal);
      const asked: Asked = { ids: group, entries, askers: 0 };
      for (const id of group) underWay.set(id, asked);
      const end = () => {
        for (const id of group) underWay.delete(id);
        listeners.forEach((listener) => listener(group));
      };
      entries.then(end, end);
    }
    // What is not known is under way, since whatever was neither has just been asked for.
    const joined = new Set(
      ids.flatMap((id, place) => (known[place] ? [] : (underWay.get(id) as Asked))),
    );
    for (const asked of joined) asked.askers++;
    try {
      // Given up, a call that was sent goes on, and nobody here waits for it.
      const answers = await unlessAborted(answersOf(joined), signal);
      const entries = ids.map((id, place) => (known[place] ?? answers.get(id)) as JournalEntry);
      return {
        choices: entries.map(({ choice }) => choice),
        spend: entries.map(({ spend }) => spend).reduce(addSpend, noSpend),
      };
    } finally {
      for (const asked of joined) asked.askers--;
    }
  }

  /** One request for a group of draws of the same prompt: journaled whole or not at all. */
  async function askFor(
    ids: readonly string[],
    request: ModelRequest,
    { origin, role, lane, turn, seed }: Way,
    asker: AbortSignal,
  ): Promise<readonly JournalEntry[]> {
    const cut = cutOff(origin.iteration);
    const signal = cut ? AbortSignal.any([asker, cut]) : asker;
    const purpose = purposeOf[request.role];
    const call: Call = {
      purpose,
      messages: request.messages,
      sampling: request.sampling,
      n: ids.length,
      seed,
      deadlineMs: role.deadlineMs,
    };
    loads.set(lane, loadOf(lane) + ids.length);
    try {
      const answer = await lane.policy.run(
        (go) => sendInTurn(ids, call, lane, turn, go, signal),
        seed / 2 ** 31,
        signal,
        (error) => ledger.count(origin.iteration, retryCounters(error, role)),
      );
      const spend = spendOf(call, answer, role, lane);
      const entries = ids.map((id, index) => {
        const raw = answer.choices[index] as CallAnswer['choices'][number];
        const { text, reasoning } = splitReasoning(raw.content);
        const thoughts = [raw.reasoning, reasoning].filter((part) => part !== null).join('\n');
        return {
          id,
          choice: { text, reasoning: thoughts || null, finish_reason: raw.finish_reason },
          // The first draw carries what the request cost, so that sums over draws are right.
          spend: index === 0 ? spend : noSpend,
        };
      });
      await ledger.answered(origin.iteration, purpose, entries, spend, request.draws.attempt);
      return entries;
    } catch (error) {
      if (error instanceof AnsweredElsewhere) return error.entries;
      // The last try of a call that is given up: it is no retry.
      if (error instanceof CallError) {
        ledger.count(origin.iteration, paidFor(error.usage, role.price));
      }
      if (asker.reason instanceof Cancelled) {
        ledger.count(origin.iteration, { [`cancelled.${purpose}`]: 1 });
      }
      // What cannot be kept ends the run, whatever else has ended.
      if (error instanceof StorageError) throw error;
      // No record's fault: what it needs is not asked, and it stays as it is until somebody goes on with it.
      if (cut?.aborted) await unlessAborted(new Promise<never>(() => undefined), asker);
      throw signal.aborted ? (signal.reason as Error) : forProcessor(error, lane, request);
    } finally {
      loads.set(lane, loadOf(lane) - ids.length);
    }
  }

  /** @throws AnsweredElsewhere if another process has been answered while the call waited for its turn */
  async function sendInTurn(
    ids: readonly string[],
    call: Call,
    lane: Lane,
    turn: Turn,
    go: () => void,
    signal: AbortSignal,
  ): Promise<CallAnswer> {
    const release = await turnOf(ids, call, lane, turn, signal);
    if (signal.aborted) {
      // Between its turn and now: there would be nobody to hear of it any more.
      release();
      throw signal.reason as Error;
    }
    const left = ledger.sent(call.purpose, call.n);
    const breakOff = new AbortController();
    const stopWaiting = onAborted(signal, () => {
      if (!(signal.reason instanceof GivenUp)) breakOff.abort(signal.reason);
    });
    sent.add(breakOff);
    const sentMs = time.monotonic();
    const { n: places } = call;
    try {
      go();
      const answer = await lane.endpoint.send(call, breakOff.signal);
      const tokens = completionTokensOf(call, answer, lane);
      lane.queue.answered({ nowMs: time.monotonic(), sentMs, places, tokens });
      return answer;
    } catch (error) {
      if (error instanceof CallError && (error.kind === 'rate-limited' || error.status === 503)) {
        lane.queue.refused({ nowMs: time.monotonic(), sentMs, places });
      }
      throw error;
    } finally {
      stopWaiting();
      sent.delete(breakOff);
      left();
      release();
    }
  }

  /**
   * A process that was stopped for long hears first of all the answers that came meanwhile, each of which lets another
   * call go; only then of the time, and that its work is somebody else's. So calls wait for that after a standstill.
   */
  async function caughtUp(): Promise<void> {
    const now = time.monotonic();
    if (now - turnMs > standstillMs) {
      // The timers that are due come first; what they let begin is done by the second time.
      catchingUp ??= time
        .sleep(0)
        .then(() => time.sleep(0))
        .finally(() => (catchingUp = null));
    }
    turnMs = now;
    await catchingUp;
  }

  /** A turn may be long in coming, and the work somebody else's meanwhile: what they have asked, or ask, is theirs. */
  async function turnOf(
    ids: readonly string[],
    call: Call,
    { queue }: Lane,
    turn: Turn,
    signal: AbortSignal,
  ): Promise<() => void> {
    for (;;) {
      const release = await queue.acquire(turn, call.n, signal);
      if (!elsewhere) return release;
      try {
        await unlessAborted(caughtUp(), signal);
      } catch (error) {
        release();
        throw error;
      }
      const known = journal.find(ids);
      const waits = ids.flatMap((id) => elsewhere(id) ?? []);
      const answered = known.filter((entry) => entry !== null);
      if (answered.length < ids.length && waits.length === 0) return release;
      release();
      if (answered.length === ids.length) throw new AnsweredElsewhere(answered);
      await unlessAborted(Promise.all(waits), signal);
    }
  }
}

/** After so long without a turn of any call the process may have been stopped. */
const standstillMs = 5000;

/** A request that was sent, or waits for its turn. */
interface Asked {
  readonly ids: readonly string[];
  /** One for each draw. */
  readonly entries: Promise<readonly JournalEntry[]>;
  /** How many wait for some of it here. */
  askers: number;
}

/** By draw, when all of them have been answered. */
async function answersOf(requests: Iterable<Asked>): Promise<ReadonlyMap<string, JournalEntry>> {
  const found = new Map<string, JournalEntry>();
  await Promise.all(
    [...requests].map(async ({ ids, entries }) => {
      for (const [index, entry] of (await entries).entries())
        found.set(ids[index] as string, entry);
    }),
  );
  return found;
}

/** On whose behalf something is asked. */
interface Asker {
  readonly origin: Omit<Origin, 'modelVersion'>;
  readonly versions: Readonly<Record<Role, string>>;
  readonly priority: Priority;
}

/** No call was needed: what it would have brought is in the journal of another process. */
class AnsweredElsewhere extends Error {
  readonly entries: readonly JournalEntry[];

  constructor(entries: readonly JournalEntry[]) {
    super('answered elsewhere');
    this.entries = entries;
  }
}

interface Way {
  readonly origin: Omit<Origin, 'modelVersion'>;
  readonly role: RoleLanes;
  readonly lane: Lane;
  readonly turn: Turn;
  /** What the request sends as its seed. */
  readonly seed: number;
}

/** How much more than its part a replica may have to do before others help. */
const unevenMax = 1.25;

/**
 * All about one instruction goes to the same replica, which has the shared beginning of its prompts cached; unless
 * calls would wait there and it has more to do than the others, as one that is slower has, or it is down. Then to the
 * next one, always the same: consistent hashing with bounded loads.
 *
 * @param loadOf draws that are asked for at a replica, those included that wait for their turn
 */
function laneFor(
  { lanes }: RoleLanes,
  instruction: string,
  draws: number,
  loadOf: (lane: Lane) => number,
): Lane {
  const own = shareOf(instruction, lanes.length);
  const inTurn = [...lanes.slice(own), ...lanes.slice(0, own)];
  const up = inTurn.filter(({ policy }) => policy.down === null);
  const load = up.reduce((sum, lane) => sum + loadOf(lane), draws);
  const limit = up.reduce((sum, { queue }) => sum + queue.limit, 0);
  const takes = (lane: Lane) =>
    loadOf(lane) + draws <= Math.max(1, (unevenMax * load) / limit) * lane.queue.limit;
  return up.find(takes) ?? up[0] ?? inTurn[0] ?? lanes[0];
}

function* chunks<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size);
}

function spendOf(call: Call, answer: CallAnswer, { price }: RoleLanes, lane: Lane): Spend {
  const prompt =
    answer.usage?.prompt_tokens ?? estimatedTokens(call.messages.map(({ content }) => content));
  const completion = completionTokensOf(call, answer, lane);
  return {
    calls: 1,
    generations: call.n,
    prompt_tokens: prompt,
    completion_tokens: completion,
    tokens_estimated: !isTrusted(call, answer, lane),
    cost: price && costOf({ prompt_tokens: prompt, completion_tokens: completion }, price),
  };
}

const isTrusted = (call: Call, { usage }: CallAnswer, { usageCoversAll }: Lane): boolean =>
  usage !== null && (call.n === 1 || usageCoversAll);

const completionTokensOf = (call: Call, answer: CallAnswer, lane: Lane): number =>
  answer.usage && isTrusted(call, answer, lane)
    ? answer.usage.completion_tokens
    : estimatedTokens(answer.choices.map(({ content, reasoning }) => content + (reasoning ?? '')));

const costOf = (
  usage: { readonly prompt_tokens: number; readonly completion_tokens: number },
  price: { readonly prompt: number; readonly completion: number },
): number =>
  (usage.prompt_tokens * price.prompt + usage.completion_tokens * price.completion) / 1_000_000;

/** A rough guess, four characters a token, for servers that do not count. */
export const estimatedTokens = (texts: readonly string[]): number =>
  texts.reduce((sum, text) => sum + Math.ceil(text.length / 4), 0);

function retryCounters(
  { kind, status, usage }: CallError,
  { price }: RoleLanes,
): Record<string, number> {
  const reason =
    kind === 'rate-limited'
      ? '429'
      : kind === 'server-error'
        ? '5xx'
        : kind === 'timeout' || kind === 'cut' || kind === 'unusable'
          ? kind
          : `${kind === 'forbidden' ? 'refused' : 'down'}${status === null ? '' : `.${status}`}`;
  return { [`retries.${reason}`]: 1, ...paidFor(usage, price) };
}

/** An answer that could not be used was generated, and is paid for, all the same. */
const paidFor = (usage: Usage | null, price: RoleLanes['price']): Record<string, number> =>
  usage
    ? {
        'tokens.prompt': usage.prompt_tokens,
        'tokens.completion': usage.completion_tokens,
        ...(price && { cost: costOf(usage, price) }),
      }
    : {};

function forProcessor(error: unknown, { endpoint }: Lane, { role }: ModelRequest): unknown {
  if (!(error instanceof CallError)) return error;
  if (error.kind === 'context') {
    return new PermanentError('context', `${error.message} (asking the ${role})`, { cause: error });
  }
  if (error.kind === 'forbidden') {
    const words = `${error.status ?? 'no status'}: ${error.said ?? error.message}`;
    return new PermanentError(
      'refused',
      `${endpoint.name} refuses this request and answers others (${words}) (asking the ${role})`,
      { cause: error },
    );
  }
  if (error.kind === 'rejected') {
    return new PermanentError('refused', `${error.message} (asking the ${role})`, { cause: error });
  }
  return error;
}
