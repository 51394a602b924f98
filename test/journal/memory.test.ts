import { createMemoryJournal } from '../../infra/journal/memory.ts';
import { journalContract } from '../contract/journal.ts';

journalContract('the journal in memory', () => {
  const journal = createMemoryJournal();
  return Promise.resolve({ journal, dispose: () => journal.close() });
});
