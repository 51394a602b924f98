import { Chance } from './chance.ts';

/** How many generations an endpoint may have in flight, as far as its answers show. Pure: the clock comes with the events. */
export interface Limiter {
  readonly limit: number;
  /** The limit is never above it. */
  readonly most: number;
  answered(answer: Answered): void;
  refused(refusal: Refused): void;
  /** The server has told how much it has to do. */
  observed(load: Load, nowMs: number): void;
}

export interface Answered {
  readonly nowMs: number;
  readonly sentMs: number;
  /** How many choices it was for. */
  readonly places: number;
  /** Tokens that were generated. */
  readonly tokens: number;
  /** Whether other calls waited for places; if none did, the limit held nobody up, and nothing is learnt of it. */
  readonly isFull: boolean;
}

export interface Refused {
  readonly nowMs: number;
  readonly sentMs: number;
  /** How many choices it was for. */
  readonly places: number;
  /** Places that other calls hold: so many the server has taken, or is still to answer. */
  readonly others: number;
}

/** What a server says of itself. */
export interface Load {
  /** Generations that are under way there. */
  readonly running: number;
  /** Generations that wait there. */
  readonly waiting: number;
}

export interface AdaptiveLimits {
  /** The limit is never above it. */
  readonly most: number;
  /** The limit before anything is known. */
  readonly first: number;
  /** Told of every change but the steps of a ramp. */
  readonly onChange?: (limit: number, why: Why) => void;
}

export type Why = 'refused' | 'by chance' | 'settled' | 'less came' | 'trial' | 'queue';

/** What runs of so many goes up and down by about their root: so many roots below what was refused is safe. */
const roots = 1.6;
/** A ramp that was refused changes the limit by so much of the way to what is safe. */
const closer = 0.25;
/** Unless it came so much further. */
const further = 1.3;
/** Up to so much more than what is held a ramp is a third as fast, so that it is refused but once. */
const gently = 1.25;
/** A limit that is refused where it is held goes down by so much. */
const stepBack = 0.06;
/** So many more refused than answered, in places of what others hold and in calls: no chance, the server can do less. */
const burst = { share: 0.1, calls: 3, answer: 0.25 };
/** Calls without a refusal before the next ramp: with the most, less than one in a hundred is refused. */
const [quietCallsMin, quietCallsMax] = [12, 125];
/** A ramp goes on where the throughput has grown by at least so much of what the limit has. */
const worth = 0.3;
/** So much more than the throughput asks for while no call waits at the server: some must, or it has gaps. */
const spareShare = 1.5;
/** A round that brings less, or more, than so much of what is usual: the server can do less, or more, than before. */
const [fallen, grown] = [0.8, 1.12];
/** So much more cannot be chance. */
const leapt = 1.25;
/** Trials, as a share of the limit; one of more must bring at least so much more. */
const trialOf = { less: 0.7, more: 1.25 };
const worthMore = 1.1;
/** If one of less brings so much, calls wait at the server even then, and the limit becomes so much of what it was. */
const [asMuch, lessAfter] = [0.97, 0.85];
/** Otherwise it goes up by so much at most. */
const moreAfter = 1.15;
/** Rounds between trials: after one that changed something, at first, and in the end. */
const [patienceAfter, patienceMin, patienceMax] = [2, 4, 32];
/** Rounds that the usual throughput is an average of. */
const usualRounds = 8;
/** Rounds of a ramp that are remembered. */
const rampRounds = 16;
/** Fewer calls than so many are no measure of throughput. */
const roundCallsMin = 24;
/** What waits at the server, as a share of what runs there: more than the first is too long, the second is right. */
const [queueLong, queueRight] = [1, 0.5];
/** What a server told of itself holds for so long. */
const loadMs = 30_000;

/** One limit's worth of answers. */
interface Round {
  readonly sinceMs: number;
  /** At its start. */
  readonly limit: number;
  places: number;
  calls: number;
  /** Answers that came while no call waited for places. */
  spare: number;
  tokens: number;
  /** Places, times how long they were held. */
  placeMs: number;
}

interface Measured {
  readonly limit: number;
  /** Tokens in a millisecond. */
  readonly throughput: number;
  /** Milliseconds of a place for each token. */
  readonly slowness: number;
}

interface Trial {
  readonly kind: keyof typeof trialOf;
  /** The limit to go back to. */
  readonly from: number;
}

/**
 * Finds out how many generations in flight an endpoint is best served with. What counts is the throughput, generated
 * tokens by time: a call with n choices holds n places until its slowest ends, so the best limit is well above the
 * number of sequences that the server runs. It goes by rounds, a limit's worth of answers each; a round in which the
 * limit held nobody up tells nothing. It is always in one of these modes:
 *
 * - **ramp**: the limit doubles with each round. It ends when the server refuses, or when a round brought hardly more
 *   than the one before; then the limit is taken by Little's law: what the best throughput needs,
 *   and half as much again.
 * - **hold**: the limit stays, and is watched. If the ramp was ended by a refusal, the next begins when it has been
 *   quiet for long enough. If it was ended by the throughput, the limit goes down when less comes of it, and into
 *   another ramp when more does; now and then it goes into a trial.
 * - **trial**: a round with three tenths less, which shows how long a call takes when none waits at the server, and so
 *   how many are needed for the throughput that there is; or with a quarter more, which stays if it brings more. They
 *   become rarer the more of them change nothing.
 *
 * A refused limit is a level that moves little by little: down with each refusal while it is held, up by a part of what
 * a ramp found. A ramp costs about one refusal and returns at once; it begins after so many calls without one that
 * fewer than one in a hundred is refused. Many refusals at once mean that the server can do less: then what it has
 * taken is the level. Refusals that do not become rarer when less is asked (`Chance`) are left out of account. A server
 * that tells how many wait there needs no trials.
 */
export class AdaptiveLimiter implements Limiter {
  readonly most: number;
  readonly #onChange: (limit: number, why: Why) => void;
  #limit: number;
  #mode: 'ramp' | 'hold' | 'trial' = 'ramp';
  #round: Round | null = null;
  /** When the limit became what it is; while it ramps, calls from before count, too. */
  #sinceMs = -Infinity;
  /** The very first round begins with its calls, the others with an answer. */
  #isFirst = true;
  /** The rounds of this ramp, the latest ones. */
  #ramp: readonly Measured[] = [];

  /** Whether it was a refusal that ended the last ramp. */
  #wasRefused = false;
  #refusedMs = -Infinity;
  /** What is held after refusals; a fraction, for it moves in small steps. */
  #level = Infinity;
  readonly #chance = new Chance();
  /** Places that were refused beyond those answered. */
  #excess = 0;
  /** Calls since the last refusal, and how many of them let the next ramp begin. */
  #quiet = 0;
  #quietCalls = quietCallsMin;

  /** What the limit brings, an average of so many rounds. */
  #usual = { throughput: 0, rounds: 0 };
  /** Rounds since it is held. */
  #held = 0;
  /** Rounds in a row that brought less than usual. */
  #poor = 0;
  /** And more. */
  #rich = 0;
  #trial: Trial | null = null;
  #nextTrial: Trial['kind'] = 'less';
  #patience = patienceMin;
  #toldMs = -Infinity;

  constructor({ most, first, onChange = () => undefined }: AdaptiveLimits) {
    this.most = most;
    this.#limit = Math.min(first, most);
    this.#onChange = onChange;
  }

  get limit(): number {
    return this.#limit;
  }

  answered({ nowMs, sentMs, places, tokens, isFull }: Answered): void {
    this.#quiet++;
    this.#chance.answered(this.#limit);
    this.#excess = Math.max(0, this.#excess - burst.answer * places);
    const isOfNow = sentMs >= this.#sinceMs;
    if (isOfNow) this.#round ??= this.#newRound(this.#isFirst ? sentMs : nowMs);
    if (isFull) this.#grow(places);
    const round = this.#round;
    // What was sent before the limit was this one has waited for what another limit let go.
    if (!isOfNow || !round) return;
    this.#isFirst = false;
    round.places += places;
    round.calls++;
    round.tokens += tokens;
    round.placeMs += places * (nowMs - sentMs);
    if (!isFull) round.spare++;
    if (round.places < round.limit || round.calls < roundCallsMin) return;
    this.#round = this.#newRound(nowMs);
    if (round.spare <= round.calls / 10) this.#judge(round, nowMs);
    else if (this.#trial) this.#endTrial(this.#trial, this.#trial.from, nowMs);
  }

  refused({ sentMs, nowMs, places, others }: Refused): void {
    const back = this.#chance.refused(this.#limit);
    if (back !== null) {
      // Throughput is the measure, as with a server that never refuses.
      this.#wasRefused = false;
      this.#excess = 0;
      this.#change(back, 'by chance');
      this.#startRamp();
    }
    if (this.#chance.isAtWork) return;
    this.#excess += places;
    const isBurst = this.#excess > Math.max(burst.calls * places, burst.share * others);
    const isRamp = this.#mode === 'ramp';
    if (isBurst) {
      // What others hold is what it has taken.
      this.#level = Math.min(this.#level, this.#limit, Math.max(1, others));
      this.#quietCalls = quietCallsMin;
    } else if (sentMs > this.#refusedMs) {
      const taken = Math.min(this.#limit, others + places);
      const safe = Math.max(this.#limit / 2, taken - roots * Math.sqrt(taken));
      if (!this.#wasRefused) this.#level = safe;
      else if (!isRamp) this.#level *= 1 - stepBack;
      else if (taken > further * this.#level) this.#level = safe;
      else this.#level += closer * (safe - this.#level);
      if (isRamp) this.#quietCalls = Math.min(quietCallsMax, 2 * this.#quietCalls);
    }
    this.#quiet = 0;
    this.#refusedMs = nowMs;
    this.#wasRefused = true;
    // Until the next answer there is room for no more; but one that was sent when few were says little.
    const room = isBurst ? others : Math.max(others, this.#limit / 2);
    this.#change(Math.min(this.#level, room), 'refused');
    this.#hold(nowMs);
  }

  observed({ running, waiting }: Load, nowMs: number): void {
    this.#toldMs = nowMs;
    if (running > 0 && waiting > queueLong * running) {
      const right = this.#limit - (waiting - queueRight * running);
      this.#change(Math.max(this.#limit / 2, right), 'queue');
      this.#hold(nowMs);
    } else if (
      waiting === 0 &&
      this.#mode === 'hold' &&
      !this.#wasRefused &&
      this.#held > 1 &&
      this.#poor === 0
    ) {
      this.#change(Math.ceil(this.#limit * trialOf.more), 'queue');
      this.#hold(nowMs);
    }
  }

  #grow(places: number): void {
    if (this.#mode === 'ramp') {
      const isGentle = this.#wasRefused && this.#limit < gently * this.#level;
      this.#set(this.#limit + (isGentle ? Math.ceil(places / 3) : places));
    } else if (this.#mode === 'hold' && this.#wasRefused) {
      if (this.#limit < Math.floor(this.#level)) {
        this.#set(Math.min(this.#level, this.#limit + 2 * places));
      } else if (this.#quiet >= this.#quietCalls) {
        this.#startRamp();
      }
    }
  }

  /** A round is over in which the limit was what held calls up. */
  #judge({ sinceMs, limit, tokens, placeMs }: Round, nowMs: number): void {
    const slowness = placeMs / Math.max(1, tokens);
    // By Little's law where the limit stays, since what was answered, by time, is as uncertain as what was in flight
    // at either end. Where it grows, the answers are those of fewer calls in flight.
    // No more can come of it than Little's law allows, as it seems after a standstill, when all answers come at once.
    const allowed = (this.#mode === 'ramp' ? this.#limit : limit) / slowness;
    const throughput =
      this.#mode === 'ramp' ? Math.min(allowed, tokens / Math.max(1, nowMs - sinceMs)) : allowed;
    const measured = { limit, throughput, slowness };
    if (this.#mode === 'ramp') this.#judgeRamp(measured, nowMs);
    else if (this.#trial) this.#judgeTrial(this.#trial, measured, nowMs);
    else if (!this.#wasRefused) this.#judgeHeld(measured, nowMs);
  }

  #judgeRamp(round: Measured, nowMs: number): void {
    const before = this.#ramp.at(-1);
    this.#ramp = [...this.#ramp.slice(1 - rampRounds), round];
    const isWorthIt =
      !before ||
      round.throughput / before.throughput - 1 >= worth * (round.limit / before.limit - 1);
    if (isWorthIt && round.limit < this.most) return;
    const best = Math.max(...this.#ramp.map(({ throughput }) => throughput));
    const least = Math.min(...this.#ramp.map(({ slowness }) => slowness));
    this.#wasRefused = false;
    this.#patience = patienceMin;
    this.#nextTrial = 'less';
    this.#change(isWorthIt ? this.most : spareShare * best * least, 'settled');
    this.#hold(nowMs);
  }

  #judgeHeld({ throughput }: Measured, nowMs: number): void {
    // The first round brings answers to calls that were sent before.
    if (++this.#held === 1) return;
    const { throughput: usual, rounds } = this.#usual;
    this.#rich = rounds >= 2 && throughput > grown * usual ? this.#rich + 1 : 0;
    this.#poor = rounds >= 2 && throughput < fallen * usual ? this.#poor + 1 : 0;
    // One may be chance, or half before and half after.
    const hasLeapt = this.#rich > 0 && throughput > leapt * usual;
    if (this.#rich > 1 || hasLeapt) {
      this.#startRamp();
      return;
    }
    if (this.#poor === 1 || this.#rich === 1) return;
    if (this.#poor > 1) {
      this.#patience = patienceMin;
      this.#nextTrial = 'less';
      this.#change(this.#limit * Math.max(0.5, throughput / usual), 'less came');
      this.#hold(nowMs);
      return;
    }
    const averaged = Math.min(usualRounds, rounds + 1);
    this.#usual = { throughput: usual + (throughput - usual) / averaged, rounds: averaged };
    const isTold = nowMs - this.#toldMs < loadMs;
    if (!isTold && this.#held > this.#patience) this.#startTrial(nowMs);
  }

  #startTrial(nowMs: number): void {
    const from = this.#limit;
    const kind = from >= this.most ? 'less' : from === 1 ? 'more' : this.#nextTrial;
    const wanted = from * trialOf[kind];
    this.#mode = 'trial';
    this.#sinceMs = nowMs;
    this.#trial = { kind, from };
    this.#change(kind === 'more' ? Math.ceil(wanted) : wanted, 'trial');
    this.#round = null;
  }

  #judgeTrial(trial: Trial, { throughput, slowness }: Measured, nowMs: number): void {
    const { kind, from } = trial;
    const { throughput: usual } = this.#usual;
    const brought = throughput / usual;
    const wanted = Math.min(moreAfter * from, spareShare * usual * slowness);
    const less = brought >= asMuch ? lessAfter * from : wanted;
    const more = brought >= worthMore ? this.#limit : from;
    this.#endTrial(trial, kind === 'less' ? less : more, nowMs);
  }

  #endTrial({ kind, from }: Trial, limit: number, nowMs: number): void {
    const hasChanged = kind === 'more' ? limit > from : limit <= lessAfter * from;
    this.#patience = hasChanged ? patienceAfter : Math.min(patienceMax, 2 * this.#patience);
    // What has led somewhere may lead further.
    if (!hasChanged) this.#nextTrial = kind === 'less' ? 'more' : 'less';
    this.#change(limit, 'trial');
    const usual = this.#usual;
    this.#hold(nowMs);
    if (kind === 'more' && hasChanged) return;
    // The server can do what it could, unless the next round shows at once that it can do more.
    this.#usual = usual;
    this.#held = 1;
  }

  #startRamp(): void {
    this.#sinceMs = -Infinity;
    this.#mode = 'ramp';
    this.#excess = 0;
    this.#trial = null;
    this.#ramp = [];
    this.#round = null;
  }

  #hold(nowMs: number): void {
    this.#sinceMs = nowMs;
    this.#mode = 'hold';
    this.#trial = null;
    this.#round = null;
    this.#held = 0;
    this.#poor = 0;
    this.#rich = 0;
    this.#usual = { throughput: 0, rounds: 0 };
  }

  #newRound(sinceMs: number): Round {
    return { sinceMs, limit: this.#limit, places: 0, calls: 0, spare: 0, tokens: 0, placeMs: 0 };
  }

  #set(limit: number): void {
    this.#limit = Math.max(1, Math.min(this.most, Math.floor(limit)));
  }

  #change(limit: number, why: Why): void {
    const before = this.#limit;
    this.#set(limit);
    if (this.#limit !== before) this.#onChange(this.#limit, why);
  }
}
