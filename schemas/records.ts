/**
 * The records of every topic, as TypeScript sees them. The same records in Avro stand beside this file, one
 * `.avsc` each, with the meaning of every field; a test proves that the two agree.
 */

/** What the models have been asked so far; part of every record that a tree or an instruction travels in. */
export interface Spend {
  readonly calls: number;
  readonly generations: number;
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly tokens_estimated: boolean;
  readonly cost: number | null;
}

/** What was not asked, thanks to which switch; part of the same records as what was, from the votes on. */
export interface Savings {
  readonly saved_responses: number;
  readonly saved_lazy_votes: number;
  readonly saved_early_votes: number;
  readonly saved_code_votes: number;
  readonly saved_children: number;
  readonly cancelled_calls: number;
}

/** One turn of a conversation. */
export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

/** A requirement on the response that code can check. */
export interface Constraint {
  readonly id: string;
  readonly arguments: string;
}

/** Who judges the responses to an instruction, and its trees. */
export type JudgeBy = 'model' | 'code' | 'both';

/** What code found of one constraint in one text. */
export interface Check {
  readonly id: string;
  readonly outcome: 'satisfied' | 'broken' | 'unknown';
  readonly detail: string;
}

/** One sampled response. */
export interface Response {
  readonly index: number;
  readonly text: string;
  readonly reasoning: string | null;
  readonly finish_reason: string;
}

/** One judgement of one response. */
export interface Vote {
  readonly vote: 'yes' | 'no' | 'invalid';
  readonly critique: string;
  readonly reasoning: string | null;
  readonly finish_reason: string;
}

/** All votes on one response and what they come to. */
export interface Judged {
  readonly index: number;
  readonly verdict: 'pass' | 'fail' | 'tie';
  readonly critique: string | null;
  readonly judged_by: 'model' | 'code';
  readonly votes: readonly Vote[];
  readonly checks: readonly Check[];
}

/** A node of a tree, slim: its body lives in `search.nodes` unless the tree still needs it. */
export interface TreeNode {
  readonly node_id: string;
  readonly parent_id: string | null;
  readonly depth: number;
  readonly child: number;
  readonly text: string | null;
  readonly text_hash: string;
  readonly answer: string | null;
  readonly value: number;
  readonly yes: number;
  readonly no: number;
  readonly invalid: number;
  readonly critique: string;
  readonly judged_by: 'model' | 'code';
}

/** A new child of a node, before it is judged. */
export interface Candidate {
  readonly node_id: string;
  readonly parent_id: string;
  readonly depth: number;
  readonly child: number;
  readonly text: string | null;
  readonly answer: string;
  readonly reasoning: string | null;
  readonly calls: number;
}

/** A node on the way from the root to the accepted one. */
export interface PathNode {
  readonly node_id: string;
  readonly parent_id: string | null;
  readonly depth: number;
  readonly text: string;
  readonly answer: string | null;
  readonly value: number;
  readonly yes: number;
  readonly no: number;
  readonly invalid: number;
  readonly critique: string;
  readonly judged_by: 'model' | 'code';
}

/** An instruction that a source has put into the stream. */
export interface Instruction {
  readonly id: string;
  readonly messages: readonly Message[];
  readonly constraints: readonly Constraint[];
  readonly judge_by: JudgeBy | null;
  readonly source: string;
  readonly extra: string;
  readonly source_line: number;
  readonly responses: readonly string[];
  readonly added_at: number;
}

/** An instruction with the responses sampled for it. */
export interface Responses extends Spend {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
  readonly messages: readonly Message[];
  readonly constraints: readonly Constraint[];
  readonly judge_by: JudgeBy | null;
  readonly source: string;
  readonly extra: string;
  readonly responses: readonly Response[];
  readonly given: boolean;
  readonly actor_model: string;
}

/** An instruction with its responses and the votes on each. */
export interface Verdicts extends Spend, Savings {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
  readonly messages: readonly Message[];
  readonly constraints: readonly Constraint[];
  readonly judge_by: JudgeBy | null;
  readonly source: string;
  readonly extra: string;
  readonly responses: readonly Response[];
  readonly given: boolean;
  readonly judged: readonly Judged[];
  readonly actor_model: string;
  readonly judge_model: string;
  readonly judge_prompt: string;
}

/** A failed response that a tree refines. */
export interface Negative {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
  readonly tree: number;
  readonly trees: number;
  readonly messages: readonly Message[];
  readonly constraints: readonly Constraint[];
  readonly source: string;
  readonly extra: string;
  readonly response_index: number;
  readonly response: string;
  readonly reasoning: string | null;
  readonly yes: number;
  readonly no: number;
  readonly invalid: number;
  readonly critique: string;
  readonly judged_by: 'model' | 'code';
  readonly actor_model: string;
  readonly judge_model: string;
  readonly judge_prompt: string;
}

/** A tree whose frontier is to be refined. */
export interface Expansion extends Spend, Savings {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
  readonly tree: number;
  readonly trees: number;
  readonly messages: readonly Message[];
  readonly constraints: readonly Constraint[];
  readonly judge_by: JudgeBy | null;
  readonly nodes: readonly TreeNode[];
  readonly frontier: readonly string[];
  readonly level_children: number;
  readonly evaluated: number;
  readonly dropped: number;
}

/** A tree whose new candidates are to be judged. */
export interface Evaluation extends Expansion {
  readonly candidates: readonly Candidate[];
}

/** A judged node of a tree, whole. */
export interface SearchNode {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
  readonly tree: number;
  readonly trees: number;
  readonly messages: readonly Message[];
  readonly node_id: string;
  readonly parent_id: string;
  readonly depth: number;
  readonly child: number;
  readonly state: 'evaluated' | 'undecided' | 'unparsed';
  readonly text: string | null;
  readonly answer: string;
  readonly reasoning: string | null;
  readonly refine_calls: number;
  readonly value: number | null;
  readonly votes: readonly Vote[];
  readonly checks: readonly Check[];
  readonly rounds: number;
  readonly critique: string | null;
  readonly judged_by: 'model' | 'code';
  readonly equal_to: string | null;
  readonly judge_model: string;
  readonly judge_prompt: string;
  readonly refiner_model: string;
  readonly refine_prompt: string;
}

/** The accepted node of a tree, with the path that led to it. */
export interface Refinement extends Spend, Savings {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
  readonly tree: number;
  readonly trees: number;
  readonly messages: readonly Message[];
  readonly node_id: string;
  readonly depth: number;
  readonly text: string;
  readonly value: number;
  readonly gate: number;
  readonly judge_by: JudgeBy;
  readonly path: readonly PathNode[];
  readonly evaluated: number;
  readonly dropped: number;
  readonly judge_model: string;
  readonly judge_prompt: string;
  readonly refiner_model: string;
  readonly refine_prompt: string;
}

/** An accepted refinement and the failure it started from. */
export interface PreferencePair extends Spend, Savings {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
  readonly tree: number;
  readonly trees: number;
  readonly messages: readonly Message[];
  readonly constraints: readonly Constraint[];
  readonly source: string;
  readonly extra: string;
  readonly chosen: string;
  readonly rejected: string;
  readonly chosen_value: number;
  readonly chosen_yes: number;
  readonly chosen_no: number;
  readonly chosen_invalid: number;
  readonly rejected_index: number;
  readonly rejected_yes: number;
  readonly rejected_no: number;
  readonly rejected_invalid: number;
  readonly rejected_critique: string;
  readonly gate: number;
  readonly judge_by: JudgeBy;
  readonly node_id: string;
  readonly depth: number;
  readonly path: readonly PathNode[];
  readonly evaluated: number;
  readonly dropped: number;
  readonly actor_model: string;
  readonly judge_model: string;
  readonly judge_prompt: string;
  readonly refiner_model: string;
  readonly refine_prompt: string;
  readonly rules: string;
}

/** How an instruction, or one tree of it, ended. */
export interface Outcome extends Spend, Savings {
  readonly id: string;
  readonly iteration: string;
  readonly instruction_id: string;
  readonly tree: number | null;
  readonly trees: number;
  readonly outcome: 'all-passed' | 'undecided' | 'paired' | 'exhausted' | 'failed' | 'stopped';
  readonly cause: string | null;
  readonly revision: number;
  readonly evaluated: number;
}

/** A record that could not be processed, as it came. */
export interface DeadLetter {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string | null;
  readonly headers: string;
  readonly value: Uint8Array;
  readonly stage: string;
  readonly iteration: string | null;
  readonly cause: string;
  readonly error: string;
  readonly attempts: number;
  readonly revision: number;
}

/** The manifest of an iteration: what is fixed when it opens. */
export interface Iteration {
  readonly id: string;
  readonly pipeline: string;
  readonly mode: string;
  readonly seed: number;
  readonly settings: string;
  readonly settings_hash: string;
  readonly actor_model: string;
  readonly judge_model: string;
  readonly judge_prompt: string;
  readonly refiner_model: string;
  readonly refine_prompt: string;
  readonly rules: string;
  readonly opened_at: number;
  readonly unread_sources: readonly string[];
}

/** Someone's decision about what exports may use: the latest one of each id holds. */
export interface Removal {
  readonly id: string;
  readonly instruction_id: string;
  readonly scope: 'instruction' | 'pair';
  readonly pair_id: string | null;
  readonly removed: boolean;
  readonly why: string;
  readonly who: string;
  readonly decided_at: number;
}
