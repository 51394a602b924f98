import { inject } from 'vitest';
import { openConfluentRegistry } from '../../infra/codec/confluent-registry.ts';
import { registryContract } from '../contract/registry.ts';

registryContract('Apicurio, through Confluent’s client,', async () => {
  const registry = await openConfluentRegistry({ url: inject('registryUrl') });
  return {
    registry,
    dispose: () => {
      registry.close();
      return Promise.resolve();
    },
  };
});
