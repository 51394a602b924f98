import { fullId } from '../../../processors/rules/ids.ts';
import type { Evidence } from '../evidence.ts';
import type { GateSettings } from '../settings.ts';
import type { Gate } from './gate.ts';

/** Keeps instructions of a difficulty: by how many of the actor's responses passed. What is not known stays. */
export const passRateGate =
  ({ min, max }: GateSettings['pass_rate'], evidence: Evidence): Gate =>
  ({ pair }) => {
    const judged = evidence.judged(fullId(pair.iteration, pair.instruction_id));
    if (!judged || judged.passed + judged.failed === 0) return null;
    const { passed, failed } = judged;
    const rate = passed / (passed + failed);
    return rate >= min && rate <= max
      ? null
      : { reason: 'pass-rate', detail: `${passed} of ${passed + failed} passed` };
  };
