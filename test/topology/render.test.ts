import { expect, test } from 'vitest';
import { dataflow } from '../../topology/dataflow.ts';
import { formats, render } from '../../topology/render.ts';
import { topics } from '../../topology/topics.ts';

test('text: a step, what it asks and looks up, and where its records go', () => {
  expect(render(dataflow, 'text')).toContain(
    [
      'refinements → pair (looks up negatives; looks up preference-pairs)',
      `  → preference-pairs: ${topics.pairs.about}`,
      `  → outcomes: ${topics.outcomes.about}`,
      '',
    ].join('\n'),
  );
  expect(render(dataflow, 'text')).toContain(
    'search.evaluate → evaluate (asks the judge; bounded by search.depth)\n',
  );
});

test('mermaid: every step and topic once, arrows for records, dotted ones for look-ups', () => {
  const lines = render(dataflow, 'mermaid').split('\n');
  expect(lines[0]).toBe('flowchart TD');
  expect(lines).toContain('  topic_search_expand[("search.expand")]');
  expect(lines).toContain('  step_fan_out(["fan-out"])');
  expect(lines).toContain('  step_fan_out --> topic_search_expand');
  expect(lines).toContain('  topic_search_expand --> step_expand');
  expect(lines).toContain('  topic_negatives -.-> step_pair');
  expect(new Set(lines).size).toBe(lines.length);
});

test('json: the steps for programs', () => {
  const { steps } = JSON.parse(render(dataflow, 'json')) as { readonly steps: readonly unknown[] };
  expect(steps).toHaveLength(Object.keys(dataflow).length);
  expect(steps).toContainEqual({
    name: 'sample',
    from: 'instructions',
    to: ['responses'],
    tables: ['responses'],
    asks: ['actor'],
    ends: 'instruction',
    bound: null,
  });
});

test.each(formats)('%s ends in one line end', (format) => {
  expect(render(dataflow, format)).toMatch(/[^\n]\n$/);
});
