import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { aclsOf } from '../../infra/topics/acls.ts';
import { dataflow } from '../../topology/dataflow.ts';
import { folder, spar } from './support.ts';

describe('spar topics acls', () => {
  test('prints what each command needs, and why', async () => {
    const { code, out } = await spar('topics', 'acls');
    expect(code).toBe(0);
    expect(out).toMatch(
      /^spar topics apply\n {2}topic +spar\.\* +AlterConfigs, Create, Describe /m,
    );
    expect(out).toMatch(/^ {2}transactional-id +spar\.judge-\* +Write +commits for judge$/m);
    expect(out).toMatch(/^spar status, spar tree, spar pair, spar tap, /m);
  });

  test('prints one command alone, as it is typed', async () => {
    const { out } = await spar('topics', 'acls', 'dead-letters', 'retry', '--pipeline', 'mine');
    expect(out).toMatch(/^spar dead-letters retry\n/);
    expect(out).toMatch(/ mine\.append\.\* +Write /);
    expect(out).not.toMatch(/spar worker/);
  });

  test('is for some stages of a worker, and for one iteration', async () => {
    const { out } = await spar(
      ...['topics', 'acls', 'worker', '--stages', 'sample,judge', '--iteration', '7'],
    );
    expect(out).toMatch(/^ {2}group +spar\.sample\.7 +Read /m);
    expect(out).toMatch(/^ {2}group +spar\.judge +Read /m);
    expect(out).toMatch(/^ {2}group +spar\.pair +Describe /m);
    expect(out).not.toMatch(/preference-pairs/);
  });

  test('prints commands that an administrator can run', async () => {
    const { out } = await spar(
      ...['topics', 'acls', 'ingest', '--format', 'commands'],
      ...['--principal', 'User:CN=in gest', '--brokers', 'kafka:9092,kafka:9093'],
    );
    const start =
      "kafka-acls.sh --bootstrap-server kafka:9092,kafka:9093 --add --allow-principal 'User:CN=in gest' ";
    expect(out.split('\n')).toEqual([
      '# spar ingest',
      `${start}--operation Describe --operation DescribeConfigs --topic spar. --resource-pattern-type prefixed`,
      `${start}--operation Read --operation Write --topic spar.instructions`,
      `${start}--operation Read --operation Write --topic spar.iterations`,
      '',
    ]);
  });

  test('prints the same as JSON, for machines', async () => {
    const { out } = await spar('topics', 'acls', '--json', '--principal', 'User:a');
    expect(JSON.parse(out)).toEqual({
      principal: 'User:a',
      commands: aclsOf({ dataflow, pipeline: 'spar', iteration: null, stages: null }),
    });
  });

  test.each([
    ['a command that is none', ['walk'], /no rights are known for "walk"; there are topics apply,/],
    ['half a command', ['dead-letters'], /no rights are known for "dead-letters"/],
    ['a stage that is none', ['worker', '--stages', 'walk'], /there is no stage "walk"/],
  ])('%s is a usage error', async (_name, args, reason) => {
    const { code, err } = await spar('topics', 'acls', ...args);
    expect(code).toBe(2);
    expect(err).toMatch(reason);
  });
});

test('numbers of topics may come from the environment', async () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv('SPAR_PARTITIONS', 'many');
  const wrong = await spar('topics', 'acls');
  expect(wrong).toMatchObject({ code: 2 });
  expect(wrong.err).toMatch(/SPAR_PARTITIONS: kafka\.partitions: /);
  vi.stubEnv('SPAR_PARTITIONS', '12');
  expect(await spar('topics', 'acls')).toMatchObject({ code: 0 });
});

test('whoever asks status for partitions sets none', async () => {
  const { err } = await spar('status', '--partitions', '--home', await folder());
  expect(err).toMatch(/there is no home in/);
});
