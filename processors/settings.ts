/**
 * The semantic settings of an iteration: they decide which pairs come out, so they are fixed when it opens.
 * Every number of the method is here; the values of `faithful` are those of the paper and its code (arXiv
 * 2412.11605). Limits, URLs and time-outs are not: those may change at any restart and live in infra.
 */
export interface Settings {
  /** Which iteration this is. */
  readonly iteration: string;
  /** Which defaults the switches below have; every one of them can be set by itself in either mode. */
  readonly mode: 'faithful' | 'lean';
  /** The seed of every random choice. */
  readonly seed: number;
  /** The version of the model behind each role: part of the id of every draw. */
  readonly models: { readonly actor: string; readonly judge: string; readonly refiner: string };
  readonly sample: Sampling & {
    /** Responses per instruction. */
    readonly responses: number;
    /**
     * So many of them first, the others only while too few have failed; null for all at once. Only where the judge is
     * lazy, since one that is not has to see them all.
     */
    readonly first: number | null;
  };
  readonly judge: Sampling & {
    /**
     * Who judges, unless the instruction says otherwise: the model by votes; code by the constraints that it can
     * check; or both, where code has a veto and votes decide the rest.
     */
    readonly by: 'model' | 'code' | 'both';
    /** Votes per response, and per node in each round. */
    readonly votes: number;
    /** So many of the votes first, the rest only unless these decide; null for all at once. */
    readonly first_votes: number | null;
    /** Responses are judged in the order of chance until as many have failed as will get a tree. */
    readonly lazy: boolean;
    /** How a verdict is read: as the reference reads it, or only where there is no doubt. */
    readonly parser: 'faithful' | 'strict';
    /** Whether a text is shown to the judge without what a verdict or a mark is known by. */
    readonly neutralise: boolean;
    /** Rounds in all for a node whose votes tie. */
    readonly rounds: number;
    /** In place of `stop` for the votes within a tree: the reference stops none of the tree's generations early. */
    readonly stop_in_tree: readonly string[];
  };
  readonly refine: Sampling & {
    /** Tries that a child has; one that finds nothing between the marks is over. */
    readonly tries: number;
    /** Calls that a try has; an answer without `[[start]]` uses one up. */
    readonly calls_per_try: number;
  };
  readonly search: {
    readonly strategy: 'breadth-first' | 'depth-first';
    /** Children per node. */
    readonly branch: number;
    /** Nodes that are refined further: of a level breadth-first, of a node's children depth-first. */
    readonly keep: number;
    /** Refinements between the root and the deepest node. */
    readonly depth: number;
    /** A node is accepted if its value is greater; rules search and pair alike. */
    readonly gate: number;
    /** Where code alone judges, a node is accepted if it keeps to this share of the constraints, or more. */
    readonly code_gate: number;
    /** Children with a value after which a tree ends. */
    readonly max_nodes: number;
    /**
     * Which child above the gate is accepted: the best of its level; the same, but at once if its value is 1, which no
     * other can beat; or at once if its value is at least `sure`; or the first.
     */
    readonly accept: 'best' | 'first-unbeatable' | 'first-sure' | 'first';
    readonly sure: number;
    /** Children of a level that are refined at once, in order of creation; null for the whole level. */
    readonly wave: number | null;
    /** Whether votes on children behind an accepted one are broken off, and the children forgotten. */
    readonly cancel: boolean;
  };
  /** Trees per instruction at the most. */
  readonly negatives_per_instruction: number;
  readonly prompts: { readonly judge: Prompt; readonly refine: Prompt };
}

/** How to draw from a model; all of it is sent explicitly. */
export interface Sampling {
  readonly temperature: number;
  readonly top_p: number;
  readonly max_tokens: number;
  readonly stop: readonly string[];
}

/** A prompt template and its hash, by which records name it. */
export interface Prompt {
  readonly template: string;
  /** SHA-256 of the template in hex, its first 16 digits. */
  readonly hash: string;
}

/** The paper's settings; which models, which prompts and which iteration is for the caller to say. */
export const faithful: Omit<Settings, 'iteration' | 'models' | 'prompts'> = {
  mode: 'faithful',
  seed: 0,
  sample: {
    responses: 5,
    first: null,
    temperature: 0.9,
    top_p: 0.9,
    max_tokens: 2048,
    stop: ['<|eot_id|>', '</s>'],
  },
  judge: {
    by: 'model',
    votes: 5,
    first_votes: null,
    lazy: false,
    parser: 'faithful',
    neutralise: false,
    rounds: 3,
    temperature: 0.7,
    top_p: 1,
    max_tokens: 2048,
    stop: ['<|eot_id|>', '</s>'],
    stop_in_tree: [],
  },
  refine: {
    tries: 3,
    calls_per_try: 3,
    temperature: 0.7,
    top_p: 1,
    max_tokens: 3072,
    stop: [],
  },
  search: {
    strategy: 'breadth-first',
    branch: 3,
    keep: 2,
    depth: 3,
    gate: 0.5,
    code_gate: 1,
    max_nodes: 1000,
    accept: 'best',
    sure: 0.8,
    wave: null,
    cancel: false,
  },
  negatives_per_instruction: 1,
};

/** What `lean` sets otherwise than `faithful`: the same kind of pair for far fewer tokens (docs/lean.md). */
export const lean = {
  sample: { first: 1 },
  judge: { first_votes: 3, lazy: true, parser: 'strict', neutralise: true },
  search: { accept: 'first-sure', wave: 1, cancel: true },
} as const satisfies {
  readonly sample: Partial<Settings['sample']>;
  readonly judge: Partial<Settings['judge']>;
  readonly search: Partial<Settings['search']>;
};
