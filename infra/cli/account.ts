import { ratesOf, type Audit } from '../../processors/rules/audit.ts';
import type { Account, Saved } from '../run/account.ts';
import { counted } from './output.ts';
import { short } from './progress.ts';

/** What a pair has cost, in a few words; null before the first. */
export function perPairText({ perPair }: Account): string | null {
  if (!perPair) return null;
  const { calls, generations, tokens, cost } = perPair;
  const asked = `${short(Math.round(calls))} calls for ${short(Math.round(generations))} texts`;
  return `${asked}, ${short(Math.round(tokens))} tokens${cost === null ? '' : `; cost ${cost.toFixed(4)}`}`;
}

/** What the switches of `lean`, and code as a judge, saved, in a few words; null if they saved nothing. */
export function savedText({ saved }: Account): string | null {
  const { responses, lazyVotes, earlyVotes, codeVotes, children, cancelledCalls } = saved;
  const parts = [
    ...(responses.count > 0
      ? [`${counted(responses.count, 'response')} not sampled${tokensText(responses)}`]
      : []),
    ...one(lazyVotes, 'vote', 'by lazy judging'),
    ...one(earlyVotes, 'vote', 'by early agreement'),
    ...one(codeVotes, 'vote', 'by code'),
    ...(children.count > 0
      ? [`${counted(children.count, 'child', 'children')} not refined${tokensText(children)}`]
      : []),
    ...(cancelledCalls > 0 ? [`${counted(cancelledCalls, 'call')} broken off`] : []),
  ];
  return parts.length === 0 ? null : parts.join(', ');
}

const one = (saved: Saved, what: string, how: string): readonly string[] =>
  saved.count > 0 ? [`${counted(saved.count, what)} ${how}${tokensText(saved)}`] : [];

const tokensText = ({ estimatedTokens }: Saved): string =>
  estimatedTokens === null ? '' : ` (about ${short(estimatedTokens)} tokens)`;

/** Where votes and code disagree most, in a few lines; none where code has nothing to say. */
export const auditLines = (audit: Audit): readonly string[] =>
  Object.entries(audit)
    .map(([id, one]) => ({ id, one, ...ratesOf(one) }))
    .sort((a, b) => (a.agreement ?? 1) - (b.agreement ?? 1) || (a.id < b.id ? -1 : 1))
    .slice(0, auditLinesMax)
    .map(
      ({ id, one, agreement, falsePass, falseFail }) =>
        `${id}: votes agree with code on ${percent(agreement)} of ${one.broken + one.kept}; ` +
        `false passes ${percent(falsePass)}, false fails ${percent(falseFail)}`,
    );

const auditLinesMax = 5;

const percent = (share: number | null): string =>
  share === null ? '–' : `${Math.round(share * 100)} %`;
