import type { BudgetStanding, LimitStanding } from '../run/budget.ts';
import { counted } from './output.ts';
import { short } from './progress.ts';

/** Each limit of a budget with its name, its flag, and how its amounts are written. */
const limitsOf = ({ tokens, cost, pairs }: BudgetStanding) =>
  [
    { name: 'tokens', flag: '--max-tokens', limit: tokens, amount: short },
    { name: 'cost', flag: '--max-cost', limit: cost, amount: money },
    { name: 'pairs', flag: '--pairs', limit: pairs, amount: (value: number) => value.toFixed(0) },
  ].flatMap(({ limit, ...rest }) => (limit === null ? [] : [{ ...rest, limit }]));

const money = (value: number): string => value.toFixed(2);

/** What is spent of what, such as `2.1M of 4.0M tokens, cost 3.10 of 5.00`. */
const spentText = (standing: BudgetStanding): string =>
  limitsOf(standing)
    .map(({ name, limit, amount }) =>
      name === 'cost'
        ? `cost ${amount(limit.spent)} of ${amount(limit.limit)}`
        : `${amount(limit.spent)} of ${amount(limit.limit)} ${name}`,
    )
    .join(', ');

/** For a line of progress. */
export const budgetProgress = (standing: BudgetStanding): string =>
  `budget: ${spentText(standing)}` +
  (standing.open > 0 ? `, ${counted(standing.open, 'instruction')} open` : '');

/** For `spar status`: a line for each limit, and one for the instructions. */
export const budgetRows = (standing: BudgetStanding): readonly string[] => [
  ...limitsOf(standing).map(({ name, limit, amount }) => rowOf(name, limit, amount)),
  instructionsText(standing),
];

const rowOf = (
  name: string,
  { limit, spent, reserved, left }: LimitStanding,
  amount: (value: number) => string,
): string =>
  name === 'pairs'
    ? `${amount(spent)} of ${amount(limit)} pairs, ${amount(reserved)} expected of what is open`
    : `${amount(spent)} of ${amount(limit)} ${name === 'cost' ? 'spent' : `${name} spent`}, ` +
      `${amount(reserved)} reserved, ${amount(left)} left`;

const instructionsText = ({ open, notBegun }: BudgetStanding): string =>
  [
    ...(open > 0 ? [`${counted(open, 'instruction')} open`] : []),
    `${counted(notBegun, 'instruction')} not begun`,
  ].join(', ');

/** Why a run ended before its instructions did, and how to go on. */
export function budgetSentence(
  state: 'incomplete: budget' | 'target reached',
  standing: BudgetStanding,
): string {
  const left = `${spentText(standing)}; ${instructionsText(standing)}.`;
  if (state === 'target reached') {
    return `${left} The same command with a larger --pairs goes on with them.`;
  }
  const flags = limitsOf(standing)
    .filter(({ name }) => name !== 'pairs')
    .map(({ flag }) => flag)
    .join(' or ');
  return `${left} The same command with a larger budget (${flags}) goes on, and pays for nothing twice.`;
}

/** Whether there are fewer pairs than were wanted, although nothing is left to make them of; null if not. */
export const shortOfTarget = ({ pairs }: BudgetStanding): string | null =>
  pairs !== null && pairs.spent < pairs.limit
    ? `The instructions gave ${pairs.spent} of the ${pairs.limit} pairs that were wanted. ` +
      'More instructions in the same iteration make more of them.'
    : null;
