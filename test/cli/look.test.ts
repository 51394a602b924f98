import { describe, expect, test } from 'vitest';
import { renderPairDiff } from '../../infra/cli/diff.ts';
import { deadLettersCommand } from '../../infra/cli/dead-letters.ts';
import { doctorCommand } from '../../infra/cli/doctor.ts';
import { exportCommand } from '../../infra/cli/export.ts';
import { pairCommand } from '../../infra/cli/pair.ts';
import { statusCommand } from '../../infra/cli/status.ts';
import { tapCommand } from '../../infra/cli/tap.ts';
import { topologyCommand } from '../../infra/cli/topology.ts';
import { treeCommand } from '../../infra/cli/tree.ts';
import { noteSource } from '../../infra/run/iteration.ts';
import type { Check, SearchNode } from '../../schemas/records.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { render } from '../../topology/render.ts';
import { topics } from '../../topology/topics.ts';
import {
  captured,
  folder,
  home,
  negative,
  openFirstIteration,
  instruction,
  pair,
  put,
  refinement,
  searchNode,
  smallHome,
  spar,
  verdicts,
  type Ran,
} from './support.ts';

/** The commands in a small home, whose folder is called HOME in what they print. */
async function inSmallHome(...args: readonly string[]): Promise<Ran> {
  const at = await folder();
  await smallHome(at);
  return named(at, await spar(...args, '--home', at));
}

const named = (at: string, { code, out, err }: Ran): Ran => ({
  code,
  out: out.replaceAll(at, 'HOME'),
  err: err.replaceAll(at, 'HOME'),
});

describe('status', () => {
  test('says how far an iteration is and what to do next', async () => {
    expect((await inSmallHome('status')).out).toMatchInlineSnapshot(`
      "Iteration 1 (faithful): complete
        instructions  4 of 4 ended
        outcomes      1 pair, 1 all passed, 0 undecided, 1 exhausted, 1 failed
        accepted      50 % of the trees, 1 at depth 2
        waiting       nothing
        asked         30 calls for 126 texts: 0 probe, 4 sample, 20 judge, 6 refine
        tokens        12k prompt, 6789 generated
        per pair      30 calls for 126 texts, 19k tokens
        retries       2 × 429
        dead letters  1
        next          spar dead-letters list --home HOME: what could not be processed
                      spar pair --home HOME: look at a pair
                      spar export --home HOME: write training files
      "
    `);
  });

  test('is one object a line for machines', async () => {
    const { out } = await inSmallHome('status', '--json');
    expect(JSON.parse(out)).toMatchObject({
      iteration: '1',
      complete: true,
      admitted: 4,
      ended: 4,
      outcomes: { paired: 1, allPassed: 1, undecided: 0, exhausted: 1, failed: 1, stopped: 0 },
      pairs: 1,
      deadLetters: 1,
      acceptanceRate: 0.5,
      acceptedByDepth: { 2: 1 },
      modelCalls: { probe: 0, sample: 4, judge: 20, refine: 6 },
      tokens: { prompt: 12345, completion: 6789, estimatedCalls: 0 },
      cost: null,
    });
  });

  test('counts what waits for each stage, while another process writes', async () => {
    const at = await folder();
    await smallHome(at);
    const written = await home(at);
    await put(written, topics.instructions, instruction('emu'));
    await put(written, topics.negatives, negative('emu'));
    await put(written, topics.instructions, instruction('asp'), { headers: { iteration: '2' } });
    const { out } = named(at, await spar('status', '--home', at));
    expect(out).toContain('Iteration 1 (faithful): not finished\n  instructions  4 of 5 ended\n');
    // The instruction of the other iteration does not wait for this one.
    expect(out).toContain('  waiting       1 for sample\n');
    expect(out).toContain('if none is, give the same spar run command again\n');
    await written.close();
  });

  test('names a source that was not read to its end, and how to go on', async () => {
    const at = await folder();
    await smallHome(at);
    const written = await home(at);
    for (const name of ["it's\u001b[2J.jsonl", 'standard input']) {
      await noteSource(written.log, written.serde, 'spar', '1', name, 'unread');
    }
    await written.close();
    const { out } = named(at, await spar('status', '--home', at));
    expect(out).toContain("  source        it's [2J.jsonl was not read to its end\n");
    expect(out).toContain('  source        standard input was not read to its end\n');
    expect(out).toContain("next          spar run 'it'\\''s [2J.jsonl' …: the same command,");
    expect(out).toContain(
      'spar run - …: the same command, unless it is going on, reads the rest\n',
    );
    const { out: json } = await spar('status', '--json', '--home', at);
    expect(JSON.parse(json)).toMatchObject({
      complete: false,
      unreadSources: ["it's\u001b[2J.jsonl", 'standard input'],
    });
  });

  test('an iteration that ended stays complete when another one takes the same stream', async () => {
    const at = await folder();
    await smallHome(at);
    const written = await home(at);
    await openFirstIteration(written, '2');
    await put(written, topics.instructions, instruction('asp'), { headers: { iteration: '2' } });
    await written.close();
    const { out } = await spar('status', '--json', '--home', at);
    const [first, second] = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(first).toMatchObject({ iteration: '1', complete: true, admitted: 4 });
    expect(second).toMatchObject({ iteration: '2', complete: false, admitted: 1, ended: 0 });
  });

  test('a home without a run, and an iteration that is not there, end with 1 and the way on', async () => {
    const at = await folder();
    await (await home(at)).close();
    expect(named(at, await spar('status', '--home', at))).toEqual({
      code: 1,
      out: '',
      err: 'spar: nothing has been run in HOME yet: start with spar run FILE --home HOME\n',
    });
    expect(await inSmallHome('status', '--iteration', '7')).toEqual({
      code: 1,
      out: '',
      err: 'spar: there is no iteration 7 in HOME; it has 1\n',
    });
  });
});

describe('tree', () => {
  test('draws the latest accepted tree: values, votes, and the accepted path without colour', async () => {
    expect((await inSmallHome('tree')).out).toMatchInlineSnapshot(`
      "Tree 1/cat/0: a refinement was accepted and paired
        user: Write a line about a cat.
        3 nodes judged; ★ accepted, • on the way to it

      • r  0.20  1 yes, 4 no  The cat sat on a very long mat.
      • ├─ r.0  0.40  2 yes, 3 no  The cat sat r.0.
        │  ├─ r.0.0  0.40  same text as r.0  The cat sat r.0.0.
      ★ │  └─ r.0.1  0.80  4 yes, 1 no  The cat sat r.0.1.
        ├─ r.1  unparsed  I do not know.
        └─ r.2  undecided  2 yes, 2 no, 1 invalid (3 rounds)  The cat sat r.2.
      "
    `);
  });

  test('draws texts and critiques in full', async () => {
    expect((await inSmallHome('tree', 'cat', '--full')).out).toMatchInlineSnapshot(`
      "Tree 1/cat/0: a refinement was accepted and paired
        user:
          Write a line about a cat.
        3 nodes judged; ★ accepted, • on the way to it

      • r  0.20  1 yes, 4 no
        │ The cat sat on a very long mat.
        │ — Too long.
      • ├─ r.0  0.40  2 yes, 3 no
        │  │ The cat sat r.0.
        │  │ — Critique of r.0.
        │  ├─ r.0.0  0.40  same text as r.0
        │  │    The cat sat r.0.0.
        │  │    — Critique of r.0.0.
      ★ │  └─ r.0.1  0.80  4 yes, 1 no
        │       The cat sat r.0.1.
        │       — Critique of r.0.1.
        ├─ r.1  unparsed
        │    I do not know.
        └─ r.2  undecided  2 yes, 2 no, 1 invalid (3 rounds)
             The cat sat r.2.
      "
    `);
  });

  test.each(['1/dog/0', '1/dog', 'dog'])('is found by %s', async (id) => {
    const { code, out } = await inSmallHome('tree', id);
    expect(code).toBe(0);
    expect(out).toContain('Tree 1/dog/0: no refinement passed before the search was used up\n');
  });

  test('is one object for machines', async () => {
    const { out } = await inSmallHome('tree', '--json');
    const tree = JSON.parse(out) as { readonly nodes: readonly { readonly node_id: string }[] };
    expect(tree).toMatchObject({
      id: '1/cat/0',
      outcome: 'paired',
      accepted: 'r.0.1',
      path: ['r', 'r.0', 'r.0.1'],
      root: { response: 'The cat sat on a very long mat.' },
    });
    expect(tree.nodes.map(({ node_id }) => node_id)).toEqual([
      'r.0',
      'r.1',
      'r.2',
      'r.0.0',
      'r.0.1',
    ]);
  });

  test.each([
    ['owl', 'spar: owl has no tree: every response passed, so nothing was refined\n'],
    ['yak', 'spar: yak has no tree: it failed (context)\n'],
    ['elk', 'spar: there is no tree elk: spar tap negatives --home HOME lists what there is\n'],
  ])('%s has none, and why', async (id, err) => {
    expect(await inSmallHome('tree', id)).toEqual({ code: 1, out: '', err });
  });

  test('a tree under way is drawn as far as it is', async () => {
    const at = await folder();
    const written = await home(at);
    await openFirstIteration(written);
    await put(written, topics.negatives, negative('cat'));
    await put(written, topics.nodes, searchNode('cat', 'r.0'));
    const { out } = await spar('tree', 'cat', '--home', at);
    expect(out).toContain('Tree 1/cat/0: still being searched\n');
    expect(out).toContain('└─ r.0  0.40  2 yes, 3 no  The cat sat r.0.\n');
    await written.close();
  });

  test('the iteration that is asked for decides which tree is the latest', async () => {
    const at = await folder();
    await smallHome(at);
    const written = await home(at);
    await put(
      written,
      topics.refinements,
      { ...refinement('emu'), id: '2/emu/0', iteration: '2' },
      { headers: { iteration: '2' } },
    );
    await written.close();
    expect((await spar('tree', '--home', at)).out).toContain('Tree 2/emu/0');
    expect((await spar('tree', '--iteration', '1', '--home', at)).out).toContain('Tree 1/cat/0');
  });
});

describe('pair', () => {
  test('shows where the latest pair comes from', async () => {
    expect((await inSmallHome('pair')).out).toMatchInlineSnapshot(`
      "Pair 1/cat/0
        instruction  cat from in.jsonl
                     user: Write a line about a cat.
        constraints  length_constraints:number_words {"num_words":3}
        sample       response 2 of 3: 1 yes, 4 no; of all 1 passed, 1 failed, 1 tied
        path         r        0.20  1 yes, 4 no
                       Too long.
                     r.0      0.40  2 yes, 3 no
                       Critique of r.0.
                     r.0.1    0.80  4 yes, 1 no  ★ accepted
                       Critique of r.0.1.
        accepted     value 0.80 above the gate 0.5, at depth 2; 3 nodes judged, 2 dropped
        models       actor actor-1, judge judge-1, refiner refiner-1
        prompts      judge j1, refine r1; rules 1
        asked        9 calls for 41 texts, 900 prompt and 400 generated tokens

      From the rejected response to the chosen one
      The cat sat[- on a very long mat-].
      "
    `);
  });

  test.each(['1/cat/0', '1/cat', 'cat'])('is found by %s', async (id) => {
    expect((await inSmallHome('pair', id, '--diff')).out).toBe(
      'The cat sat[- on a very long mat-].\n',
    );
  });

  test('is one object for machines: the record, how many responses there were, and what code found', async () => {
    const { out } = await inSmallHome('pair', '--json');
    const path = pair('cat').path.map((node) => ({ ...node, checks: [], satisfied_share: null }));
    expect(JSON.parse(out)).toEqual({ ...pair('cat'), path, responses: 3 });
  });

  test.each([
    [
      'dog',
      'spar: dog has no pair: no refinement passed before the search was used up (spar tree 1/dog/0 --home HOME)\n',
    ],
    ['owl', 'spar: owl has no pair: every response passed, so nothing was refined\n'],
    [
      'elk',
      'spar: there is no pair elk: spar tap preference-pairs --home HOME lists what there is\n',
    ],
  ])('%s has none, and why', async (id, err) => {
    expect(await inSmallHome('pair', id)).toEqual({ code: 1, out: '', err });
  });

  test('no pair at all says how to see what happened', async () => {
    const at = await folder();
    await (await home(at)).close();
    expect(named(at, await spar('pair', '--home', at))).toEqual({
      code: 1,
      out: '',
      err: 'spar: there is no pair yet in HOME: see how far it is with spar status --home HOME\n',
    });
  });

  test.each(['pair', 'tree'])('%s: hostile text does not reach the terminal', async (command) => {
    const at = await folder();
    const evil = 'a\u001b[31mb\u009b2Jc\u202ed\u0007';
    const written = await home(at);
    await openFirstIteration(written);
    const { path } = refinement('cat');
    const hostile = path.map((node) => ({ ...node, text: evil, critique: evil }));
    const messages = [{ role: 'user' as const, content: evil }];
    await put(written, topics.negatives, { ...negative('cat'), messages, response: evil });
    await put(written, topics.nodes, { ...searchNode('cat', 'r.0'), text: evil, critique: evil });
    await put(written, topics.refinements, { ...refinement('cat'), messages, path: hostile });
    await put(written, topics.pairs, {
      ...pair('cat'),
      messages,
      path: hostile,
      chosen: evil,
      rejected: `${evil} and more`,
      source: evil,
      constraints: [{ id: evil, arguments: evil }],
      actor_model: evil,
    });
    await written.close();
    for (const flags of [[], ['--full'], ['--json']]) {
      const { code, out } = await spar(command, ...flags, '--home', at);
      expect(code).toBe(0);
      // eslint-disable-next-line no-control-regex -- these are what must not be there
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
  });
});

describe('what code judged', () => {
  const judged = (...args: readonly string[]) => inHomeJudgedByCode(checks, ...args);

  test('a tree shows what code found in place of votes, and which constraints are broken', async () => {
    expect((await judged('tree')).out).toMatchInlineSnapshot(`
      "Tree 1/cat/0: still being searched
        user: Write a line about a cat.
        4 nodes judged; ★ accepted, • on the way to it

      • r  0.00  by code: 0 of 2 satisfied, 1 not checked  The cat sat on a very long mat.
        │ ✗ punctuation:no_comma: 3 commas; none allowed
        │ ✗ length_constraints:number_words: 9 words; 3 wanted
      • ├─ r.0  0.50  by code: 1 of 2 satisfied, 1 not checked  The cat sat r.0.
        │  │ ✗ length_constraints:number_words: 7 words; 3 wanted
        │  ├─ r.0.0  0.50  same text as r.0  The cat sat r.0.0.
      ★ │  └─ r.0.1  1.00  by code: 2 of 2 satisfied, 1 not checked  The cat sat r.0.1.
        └─ r.1  0.00  same text as r  The cat sat r.1.
      "
    `);
  });

  test('in full also what is satisfied, and what code does not know', async () => {
    expect((await judged('tree', '--full')).out).toMatchInlineSnapshot(`
      "Tree 1/cat/0: still being searched
        user:
          Write a line about a cat.
        4 nodes judged; ★ accepted, • on the way to it

      • r  0.00  by code: 0 of 2 satisfied, 1 not checked
        │ ✗ punctuation:no_comma: 3 commas; none allowed
        │ ✗ length_constraints:number_words: 9 words; 3 wanted
        │ ? format:nice: there is no constraint format:nice
        │ The cat sat on a very long mat.
        │ — Too long.
      • ├─ r.0  0.50  by code: 1 of 2 satisfied, 1 not checked
        │  │ ✓ punctuation:no_comma: 0 commas; none allowed
        │  │ ✗ length_constraints:number_words: 7 words; 3 wanted
        │  │ ? format:nice: there is no constraint format:nice
        │  │ The cat sat r.0.
        │  │ — Critique of r.0.
        │  ├─ r.0.0  0.50  same text as r.0
        │  │    The cat sat r.0.0.
        │  │    — Critique of r.0.0.
      ★ │  └─ r.0.1  1.00  by code: 2 of 2 satisfied, 1 not checked
        │       ✓ punctuation:no_comma: 0 commas; none allowed
        │       ✓ length_constraints:number_words: 3 words; 3 wanted
        │       ? format:nice: there is no constraint format:nice
        │       The cat sat r.0.1.
        │       — Critique of r.0.1.
        └─ r.1  0.00  same text as r
             The cat sat r.1.
             — Critique of r.1.
      "
    `);
  });

  test('a pair does so, too', async () => {
    expect((await judged('pair')).out).toMatchInlineSnapshot(`
      "Pair 1/cat/0
        instruction  cat from in.jsonl
                     user: Write a line about a cat.
        constraints  length_constraints:number_words {"num_words":3}
        sample       response 2 of 3: by code: 0 of 2 satisfied, 1 not checked; of all 1 passed, 1 failed, 1 tied
        path         r        0.00  by code: 0 of 2 satisfied, 1 not checked
                       ✗ punctuation:no_comma: 3 commas; none allowed
                       ✗ length_constraints:number_words: 9 words; 3 wanted
                       Too long.
                     r.0      0.50  by code: 1 of 2 satisfied, 1 not checked
                       ✗ length_constraints:number_words: 7 words; 3 wanted
                       Critique of r.0.
                     r.0.1    1.00  by code: 2 of 2 satisfied, 1 not checked  ★ accepted
                       Critique of r.0.1.
        accepted     value 1.00 reaches the gate 1, at depth 2; 3 nodes judged, 2 dropped
        models       actor actor-1, judge judge-1, refiner refiner-1
        prompts      judge j1, refine r1; rules 1
        asked        9 calls for 41 texts, 900 prompt and 400 generated tokens

      From the rejected response to the chosen one
      The cat sat[- on a very long mat-].
      "
    `);
  });

  test('for machines each node of a tree has what was found and the share, as has its root', async () => {
    const tree = JSON.parse((await judged('tree', '--json')).out) as {
      readonly root: object;
      readonly nodes: readonly object[];
    };
    expect(tree.root).toMatchObject({ value: 0, checks: checks.r, satisfied_share: 0 });
    expect(tree.nodes).toMatchObject([
      { node_id: 'r.0', value: 0.5, checks: checks['r.0'], satisfied_share: 0.5 },
      { node_id: 'r.1', value: 0, checks: checks.r, satisfied_share: 0, equal_to: 'r' },
      { node_id: 'r.0.0', value: 0.5, checks: checks['r.0'], satisfied_share: 0.5 },
      { node_id: 'r.0.1', value: 1, checks: checks['r.0.1'], satisfied_share: 1 },
    ]);
  });

  test('and so has the path of a pair', async () => {
    expect(JSON.parse((await judged('pair', '--json')).out)).toMatchObject({
      path: [
        { node_id: 'r', checks: checks.r, satisfied_share: 0 },
        { node_id: 'r.0', checks: checks['r.0'], satisfied_share: 0.5 },
        { node_id: 'r.0.1', checks: checks['r.0.1'], satisfied_share: 1 },
      ],
    });
  });

  test('where votes decided and code looked on, both are shown', async () => {
    const at = await folder();
    await smallHome(at);
    const written = await home(at);
    await put(written, topics.nodes, { ...searchNode('cat', 'r.0'), checks: checks['r.0'] });
    await written.close();
    const line = /r\.0 +0\.40 {2}2 yes, 3 no; code: 1 of 2 satisfied, 1 not checked/;
    expect((await spar('tree', '--home', at)).out).toMatch(line);
    expect((await spar('pair', '--home', at)).out).toMatch(line);
  });

  test('what is no longer kept is not made up', async () => {
    const at = await folder();
    const written = await home(at);
    await openFirstIteration(written);
    const path = pair('cat').path.map((node) => ({ ...node, ...byCode }));
    await put(written, topics.pairs, { ...pair('cat'), path });
    await put(written, topics.refinements, { ...refinement('cat'), path });
    await written.close();
    expect((await spar('pair', '--home', at)).out).toContain(`${'r'.padEnd(8)} 0.20  by code\n`);
    expect((await spar('tree', '--home', at)).out).toContain('r  0.20  by code  ');
    expect(JSON.parse((await spar('pair', '--json', '--home', at)).out)).toMatchObject({
      path: path.map(({ node_id }) => ({ node_id, checks: null, satisfied_share: null })),
    });
  });

  test.each(['pair', 'tree'])('%s: hostile text does not reach the terminal', async (command) => {
    const evil = 'a\u001b[31mb\u009b2Jc\u202ed\u0007\ne';
    const hostile = [{ id: evil, outcome: 'broken', detail: evil }] as const;
    const texts = { r: hostile, 'r.0': hostile, 'r.0.1': hostile };
    for (const flags of [[], ['--full'], ['--json']]) {
      const { code, out } = await inHomeJudgedByCode(texts, command, ...flags);
      expect(code).toBe(0);
      expect(out).toContain('a');
      // eslint-disable-next-line no-control-regex -- these are what must not be there
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
    }
  });

  const checks = {
    r: [
      { id: 'punctuation:no_comma', outcome: 'broken', detail: '3 commas; none allowed' },
      { id: 'length_constraints:number_words', outcome: 'broken', detail: '9 words; 3 wanted' },
      { id: 'format:nice', outcome: 'unknown', detail: 'there is no constraint format:nice' },
    ],
    'r.0': [
      { id: 'punctuation:no_comma', outcome: 'satisfied', detail: '0 commas; none allowed' },
      { id: 'length_constraints:number_words', outcome: 'broken', detail: '7 words; 3 wanted' },
      { id: 'format:nice', outcome: 'unknown', detail: 'there is no constraint format:nice' },
    ],
    'r.0.1': [
      { id: 'punctuation:no_comma', outcome: 'satisfied', detail: '0 commas; none allowed' },
      { id: 'length_constraints:number_words', outcome: 'satisfied', detail: '3 words; 3 wanted' },
      { id: 'format:nice', outcome: 'unknown', detail: 'there is no constraint format:nice' },
    ],
  } as const;

  const byCode = { yes: 0, no: 0, invalid: 0, judged_by: 'code' } as const;

  /** A tree of a response that code judged, its children among them one with the root's own text. */
  async function inHomeJudgedByCode(
    found: Readonly<Record<'r' | 'r.0' | 'r.0.1', readonly Check[]>>,
    ...args: readonly string[]
  ): Promise<Ran> {
    const at = await folder();
    const written = await home(at);
    await openFirstIteration(written);
    const { judged, ...others } = verdicts('cat');
    await put(written, topics.verdicts, {
      ...others,
      judge_by: 'code',
      judged: judged.map((one) =>
        one.index === 1 ? { ...one, judged_by: 'code' as const, votes: [], checks: found.r } : one,
      ),
    });
    await put(written, topics.negatives, { ...negative('cat'), ...byCode });
    const child = (id: string, change: Partial<SearchNode>) =>
      put(written, topics.nodes, {
        ...searchNode('cat', id),
        judged_by: 'code' as const,
        votes: [],
        rounds: 0,
        ...change,
      });
    await child('r.0', { value: 0.5, checks: found['r.0'] });
    await child('r.1', { value: 0, equal_to: 'r' });
    await child('r.0.0', { value: 0.5, equal_to: 'r.0' });
    await child('r.0.1', { value: 1, checks: found['r.0.1'] });
    const values = [0, 0.5, 1];
    const path = pair('cat').path.map((node, index) => ({
      ...node,
      ...byCode,
      value: values[index] ?? 0,
    }));
    const judgedBy = { judge_by: 'code', gate: 1, path } as const;
    await put(written, topics.refinements, { ...refinement('cat'), ...judgedBy, value: 1 });
    await put(written, topics.pairs, { ...pair('cat'), ...judgedBy, ...rejected, chosen_value: 1 });
    await written.close();
    return named(at, await spar(...args, '--home', at));
  }

  const rejected = { rejected_yes: 0, rejected_no: 0, rejected_invalid: 0 } as const;
});

describe('the two sides of a pair', () => {
  test.each([
    ['words in and out', 'a b c', 'a x c', 'a [-b-]{+x+} c'],
    ['neighbours change together', 'a b c d', 'a x y d', 'a [-b c-]{+x y+} d'],
    ['nothing changed', 'same', 'same', 'same'],
    ['all of it', '', 'new', '{+new+}'],
    ['over lines', 'one\ntwo', 'one\nthree', 'one\n[-two-]{+three+}'],
  ])('%s', (_name, rejected, chosen, text) => {
    expect(renderPairDiff({ rejected, chosen }, { colour: false })).toBe(text);
  });

  test('colours take the place of the marks', () => {
    const text = (rejected: string, chosen: string) =>
      renderPairDiff({ rejected, chosen }, { colour: true });
    expect(text('a b', 'a c')).toBe(
      'a \u001b[31m\u001b[9mb\u001b[29m\u001b[39m\u001b[32mc\u001b[39m',
    );
    expect(text('a', 'a b')).toBe('a\u001b[32m b\u001b[39m');
  });

  test('texts that have nothing in common cost little', () => {
    const words = (from: number) =>
      Array.from({ length: 20_000 }, (_, i) => `w${from + i}`).join(' ');
    const text = renderPairDiff({ rejected: words(0), chosen: words(50_000) }, { colour: false });
    expect(text.startsWith('[-w0 w1 ')).toBe(true);
    expect(text.endsWith(' w69999+}')).toBe(true);
  });
});

describe('topology', () => {
  test.each(['text', 'mermaid', 'json'] as const)('as %s', async (format) => {
    expect(await spar('topology', '--format', format)).toEqual({
      code: 0,
      out: render(dataflow, format),
      err: '',
    });
  });
});

test.each(
  [
    topologyCommand(),
    tapCommand(),
    statusCommand(),
    treeCommand(),
    pairCommand(),
    ...[deadLettersCommand()].flatMap((command) => [command, ...command.commands]),
    doctorCommand(),
    exportCommand(),
  ].map((command) => [command.name(), command] as const),
)('%s --help shows an example', async (_name, command) => {
  const { out } = await captured(() =>
    command
      .exitOverride()
      .parseAsync(['node', 'spar', '--help'])
      .catch(() => undefined),
  );
  expect(out).toMatch(/Examples:\n {2}\$ (spar|cat) /);
});
