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

export type Why = 'refused' | 'settled' | 'less came' | 'trial' | 'queue';

/** After a refusal where the limit was nearly right. */
const stepBack = 0.94;
/** Rounds without a refusal before the next ramp: after a halving, and after a step back. */
const [quietRoundsMin, quietRoundsMax] = [2, 4];
/** Calls, too, so that refusals stay below one in a hundred. */
const quietCallsMin = 110;
/** A round of a ramp that brought less than so much more than the one before, in calls so much longer, ends it. */
const [risen, slower] = [1.2, 1.1];
/** Share of the best throughput that is nearly as good. */
const nearly = 0.95;
/** A round that brings less, or more, than so much of what is usual: the server can do less, or more, than before. */
const [fallen, grown] = [0.8, 1.2];
/** Tries with less must bring as much, tries with more must bring more. */
const trials = {
  less: { factor: 0.8, least: 0.98, other: 'more' },
  more: { factor: 1.25, least: 1.05, other: 'less' },
} as const;
/** Rounds of a trial; the first brings answers to calls that were sent before, and does not count. */
const trialRounds = 3;
/** Rounds between trials. */
const [patienceMin, patienceMax] = [2, 32];
/** Rounds that the usual throughput is an average of. */
const usualRounds = 8;
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
  readonly kind: keyof typeof trials;
  /** The limit to go back to. */
  readonly from: number;
  rounds: number;
  throughputs: number;
}

/**
 * Finds out how many generations in flight an endpoint is best served with. What counts is the throughput, generated
 * tokens by time: a call with n choices holds n places until its slowest ends, so the best limit is well above the
 * number of sequences that the server runs. It goes by rounds, a limit's worth of answers each; a round in which the
 * limit held nobody up tells nothing. It is always in one of these modes:
 *
 * - **ramp**: the limit doubles with each round. It ends when the server refuses, or when a round brought hardly more
 *   than the one before though its calls took longer; then the smallest limit that did nearly as well is taken.
 * - **hold**: the limit stays, and is watched. If the ramp was ended by a refusal, it creeps up by one with each round,
 *   and when it has been quiet for long enough, another ramp begins. If it was ended by the throughput, the limit goes
 *   down when less comes of it, and into another ramp when more does; now and then it goes into a trial.
 * - **trial**: a fifth less, or a quarter more, for some rounds. If less brings as much, or more brings more, it stays.
 *   The trials become rarer the more of them were in vain.
 *
 * A refusal halves the limit, once for all calls that were sent before it. Where the limit was refused before and has
 * been served since, it is nearly right, and steps back a little instead. A server that tells how many wait there
 * needs no trials.
 */
export class AdaptiveLimiter implements Limiter {
  readonly most: number;
  readonly #onChange: (limit: number, why: Why) => void;
  #limit: number;
  #mode: 'ramp' | 'hold' | 'trial' = 'ramp';
  #round: Round | null = null;
  /** The rounds of this ramp, the latest ones. */
  #ramp: readonly Measured[] = [];

  /** Whether it was a refusal that ended the last ramp. */
  #wasRefused = false;
  #refusedMs = -Infinity;
  /** Up to here it has been served; it grows fast below, and slowly above. */
  #served = Infinity;
  #quiet = { places: 0, calls: 0 };
  #quietRounds = quietRoundsMin;
  #creep = 0;

  /** What the limit brings, an average of so many rounds. */
  #usual = { throughput: 0, rounds: 0 };
  /** Rounds since it is held. */
  #held = 0;
  /** Rounds in a row that brought less than usual. */
  #poor = 0;
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
    this.#quiet.places += places;
    this.#quiet.calls++;
    // The first round began when its calls were sent; a later one begins with an answer.
    const round = (this.#round ??= this.#newRound(this.#ramp.length === 0 ? sentMs : nowMs));
    round.places += places;
    round.calls++;
    round.tokens += tokens;
    round.placeMs += places * (nowMs - sentMs);
    if (isFull) this.#grow(places);
    else round.spare++;
    if (round.places < round.limit || round.calls < roundCallsMin) return;
    this.#round = this.#newRound(nowMs);
    if (round.spare <= round.calls / 10 && nowMs > round.sinceMs) this.#judge(round, nowMs);
    else if (this.#trial) this.#endTrial(this.#trial, false);
  }

  refused({ sentMs, nowMs, others }: Refused): void {
    if (sentMs <= this.#refusedMs) {
      // Of the same burst. It is at most what the server has taken.
      this.#change(Math.min(this.#limit, others), 'refused');
      this.#served = Math.min(this.#served, this.#limit);
      return;
    }
    this.#refusedMs = nowMs;
    const isNearlyRight = this.#wasRefused && this.#quiet.places >= this.#limit;
    const taken = Math.max(this.#limit / 2, Math.min(this.#limit, others));
    this.#served = Math.max(1, Math.floor(stepBack * taken));
    this.#quietRounds = isNearlyRight ? quietRoundsMax : quietRoundsMin;
    this.#quiet = { places: 0, calls: 0 };
    this.#creep = 0;
    this.#wasRefused = true;
    this.#change(isNearlyRight ? this.#served : Math.floor(this.#limit / 2), 'refused');
    this.#hold();
  }

  observed({ running, waiting }: Load, nowMs: number): void {
    this.#toldMs = nowMs;
    if (running > 0 && waiting > queueLong * running) {
      const right = this.#limit - Math.round(waiting - queueRight * running);
      this.#change(Math.max(Math.ceil(this.#limit / 2), right), 'queue');
      this.#hold();
    } else if (waiting === 0 && this.#mode === 'hold' && !this.#wasRefused && this.#held > 1) {
      this.#change(Math.ceil(this.#limit * trials.more.factor), 'queue');
      this.#hold();
    }
  }

  #grow(places: number): void {
    if (this.#mode === 'ramp') {
      this.#set(this.#limit + places);
      return;
    }
    if (this.#mode === 'trial' || !this.#wasRefused) return;
    if (this.#limit < this.#served) {
      this.#set(Math.min(this.#served, this.#limit + places));
      return;
    }
    this.#creep += places;
    if (this.#creep >= this.#limit) {
      this.#creep = 0;
      this.#set(this.#limit + 1);
    }
    const isQuiet =
      this.#quiet.places >= this.#quietRounds * this.#limit &&
      (this.#quietRounds < quietRoundsMax || this.#quiet.calls >= quietCallsMin);
    if (isQuiet) this.#startRamp();
  }

  /** A round is over in which the limit was what held calls up. */
  #judge(round: Round, nowMs: number): void {
    const measured = {
      limit: round.limit,
      throughput: round.tokens / (nowMs - round.sinceMs),
      slowness: round.placeMs / Math.max(1, round.tokens),
    };
    if (this.#mode === 'ramp') this.#judgeRamp(measured);
    else if (this.#trial) this.#judgeTrial(this.#trial, measured);
    else if (!this.#wasRefused) this.#judgeHeld(measured, nowMs);
  }

  #judgeRamp(round: Measured): void {
    const before = this.#ramp.at(-1);
    this.#ramp = [...this.#ramp.slice(-15), round];
    const isWorthIt =
      !before ||
      round.throughput >= risen * before.throughput ||
      round.slowness < slower * before.slowness;
    if (isWorthIt && round.limit < this.most) return;
    const best = Math.max(...this.#ramp.map(({ throughput }) => throughput));
    const enough = this.#ramp.find(({ throughput }) => throughput >= nearly * best) ?? round;
    this.#wasRefused = false;
    this.#patience = patienceMin;
    this.#nextTrial = 'less';
    this.#change(isWorthIt ? this.most : enough.limit, 'settled');
    this.#hold();
  }

  #judgeHeld({ throughput }: Measured, nowMs: number): void {
    // The first brings answers to calls that were sent before.
    if (++this.#held === 1) return;
    const usual = this.#usual;
    if (usual.rounds >= 2) {
      const share = throughput / usual.throughput;
      if (share > grown) {
        this.#startRamp();
        return;
      }
      this.#poor = share < fallen ? this.#poor + 1 : 0;
      if (this.#poor === 1) return;
      if (this.#poor > 1) {
        this.#patience = patienceMin;
        this.#nextTrial = 'less';
        this.#change(Math.ceil(this.#limit * Math.max(0.5, share)), 'less came');
        this.#hold();
        return;
      }
    }
    this.#note(throughput);
    const isTold = nowMs - this.#toldMs < loadMs;
    if (!isTold && this.#held > this.#patience) this.#startTrial();
  }

  #note(throughput: number): void {
    const before = this.#usual;
    const rounds = Math.min(usualRounds, before.rounds + 1);
    const change = (throughput - before.throughput) / rounds;
    this.#usual = { throughput: before.throughput + change, rounds };
  }

  #startTrial(): void {
    const from = this.#limit;
    const kind = from >= this.most ? 'less' : from === 1 ? 'more' : this.#nextTrial;
    const wanted = from * trials[kind].factor;
    this.#trial = { kind, from, rounds: 0, throughputs: 0 };
    this.#mode = 'trial';
    this.#change(kind === 'less' ? Math.floor(wanted) : Math.ceil(wanted), 'trial');
    this.#round = null;
  }

  #judgeTrial(trial: Trial, { throughput }: Measured): void {
    if (trial.rounds++ > 0) trial.throughputs += throughput;
    if (trial.rounds < trialRounds) return;
    const share = trial.throughputs / (trialRounds - 1) / this.#usual.throughput;
    this.#endTrial(trial, share >= trials[trial.kind].least);
  }

  #endTrial({ kind, from }: Trial, isBetter: boolean): void {
    const { usual } = { usual: this.#usual };
    if (isBetter) {
      this.#patience = patienceMin;
    } else {
      this.#patience = Math.min(patienceMax, 2 * this.#patience);
      this.#nextTrial = trials[kind].other;
      this.#change(from, 'trial');
    }
    this.#hold();
    // Trials of less are compared with what there was before all of them, or they would lose a little each time.
    if (kind === 'less' || !isBetter) this.#usual = usual;
  }

  #startRamp(): void {
    this.#mode = 'ramp';
    this.#trial = null;
    this.#ramp = [];
    this.#round = null;
  }

  #hold(): void {
    this.#mode = 'hold';
    this.#trial = null;
    this.#round = null;
    this.#held = 0;
    this.#poor = 0;
    this.#usual = { throughput: 0, rounds: 0 };
  }

  #newRound(sinceMs: number): Round {
    return { sinceMs, limit: this.#limit, places: 0, calls: 0, spare: 0, tokens: 0, placeMs: 0 };
  }

  #set(limit: number): void {
    this.#limit = Math.max(1, Math.min(this.most, limit));
  }

  #change(limit: number, why: Why): void {
    const before = this.#limit;
    this.#set(limit);
    if (this.#limit !== before) this.#onChange(this.#limit, why);
  }
}
