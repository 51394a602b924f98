import type { Journal } from '../../infra/journal/journal.ts';
import type { Endpoint } from '../../infra/model/endpoint.ts';
import { createGateway, type Gateway } from '../../infra/model/gateway.ts';
import { createLedger } from '../../infra/model/ledger.ts';
import { AdaptiveLimiter } from '../../infra/model/limiter.ts';
import { retryPolicy } from '../../infra/model/policy.ts';
import { CallQueue } from '../../infra/model/queue.ts';
import { systemTime } from '../../infra/time.ts';

/** The gateway over one endpoint for all roles, which holds nothing up: benches of what lies around it. */
export function openGateway(endpoint: Endpoint, journal: Journal): Gateway {
  const lane = {
    endpoint,
    queue: new CallQueue(new AdaptiveLimiter({ most: 100_000, first: 100_000 })),
    policy: retryPolicy(
      {
        ...{ attempts: 3, firstDelayMs: 10, maxDelayMs: 100, maxRetryAfterMs: 1000 },
        ...{ downAfter: 10, busyAfter: 30, downFirstDelayMs: 10, downMaxDelayMs: 100 },
      },
      systemTime,
      () => Promise.resolve(),
    ),
    choicesMax: Infinity,
    usageCoversAll: true,
  };
  const role = { lanes: [lane] as const, price: null, deadlineMs: 60_000, choicesMax: 128 };
  return createGateway(
    {
      actor: { ...role, version: 'actor-1' },
      judge: { ...role, version: 'judge-1' },
      refiner: { ...role, version: 'refiner-1' },
    },
    journal,
    createLedger(journal),
    systemTime,
    () => Promise.resolve(),
  );
}
