import type { GateSettings } from '../settings.ts';
import type { Gate } from './gate.ts';

/**
 * Finds sides that begin by declining. Off by default: to decline may be right, and a letter that was asked for may
 * begin the same way.
 */
export const refusalsGate =
  (sides: Exclude<GateSettings['refusals'], 'off'>): Gate =>
  ({ row: { chosen, rejected } }) => {
    const [side, opening] =
      refusalIn(chosen) !== null
        ? ['chosen', refusalIn(chosen)]
        : sides === 'either'
          ? ['rejected', refusalIn(rejected)]
          : ['', null];
    return opening === null ? null : { reason: 'refusal', detail: `${side}: ${opening}` };
  };

/** The words that decline, if the text begins with some. */
function refusalIn(text: string): string | null {
  const opening = text.slice(0, openingLength).replaceAll('’', "'").replaceAll(/\s+/g, ' ');
  return refusal.exec(opening)?.[0] ?? null;
}

const openingLength = 200;

/** After the phrases of SORRY-Bench's and AdvBench's keyword checks, at the very beginning of a text only. */
const refusal = new RegExp(
  [
    String.raw`^(?:(?:i'm|i am) (?:very |so |really )?sorry|sorry|(?:my )?apologies|i apologi[sz]e|unfortunately),? `,
    String.raw`(?:but )?(?:as an ai(?: language model)?,? )?i (?:can't|cannot|can not|won't|am unable to|'m unable to|am not able to|must decline)`,
    String.raw`|^(?:as an ai(?: language model| assistant)?,? )i (?:can't|cannot|can not|won't|am unable to|am not able to|do not|don't)`,
    String.raw`|^i (?:can't|cannot|can not|won't|am unable to|am not able to|must decline to) (?:help|assist|fulfil?l?|comply|provide|answer|create|write|generate|do that)`,
  ].join(''),
  'i',
);
