/** A process that starts a broker and a registry, says what they are, and waits to be ended. */
import { startBroker } from '../../infra/cluster/broker.ts';
import { startRegistry } from '../../infra/cluster/registry.ts';

const services = [await startBroker(), await startRegistry()];
process.stdout.write(
  `${JSON.stringify(services.map(({ process, folder }) => ({ process, folder })))}\n`,
);
if (process.argv[2] === 'wait') setInterval(() => undefined, 1000);
