import { fullId } from '../../../processors/rules/ids.ts';
import type { Evidence } from '../evidence.ts';
import type { GateSettings } from '../settings.ts';
import type { Gate } from './gate.ts';

/**
 * Leaves out pairs with a side that was cut off. The server says so of a response. Of a refinement it is likely where
 * the answer never closes its mark: the search accepts that, as the paper's code does.
 */
export const truncationGate =
  (how: Exclude<GateSettings['truncated'], 'off'>, evidence: Evidence): Gate =>
  ({ pair }) => {
    if (evidence.wasCut(fullId(pair.iteration, pair.instruction_id), pair.rejected_index)) {
      return { reason: 'truncated', detail: 'rejected: finish reason length' };
    }
    const answer = how === 'likely' ? (pair.path.at(-1)?.answer ?? null) : null;
    return answer !== null && isOpen(answer)
      ? { reason: 'truncated', detail: 'chosen: [[start]] without [[end]]' }
      : null;
  };

/** Its first mark is not closed. */
const isOpen = (answer: string): boolean => {
  const [, inner] = answer.split('[[start]]');
  return inner !== undefined && !inner.includes('[[end]]');
};
