import { Command, Option } from 'commander';
import { check } from '../../topology/check.ts';
import { dataflow, outside } from '../../topology/dataflow.ts';
import { formats, render, type Format } from '../../topology/render.ts';
import { topics } from '../../topology/topics.ts';
import { RunError } from '../errors.ts';
import { examples } from './options.ts';
import { print } from './output.ts';

export const topologyCommand = (): Command =>
  new Command('topology')
    .summary('print the dataflow, and check it')
    .description(
      'Prints every step with the topics that it reads and writes, and fails if the dataflow has a loose end.',
    )
    .addOption(new Option('--format <format>', 'of the output').choices(formats).default('text'))
    .addHelpText(
      'after',
      examples('spar topology', 'spar topology --format mermaid > dataflow.mmd'),
    )
    .action(async (flags: { readonly format: Format }) => {
      await print(render(dataflow, flags.format));
      const problems = check(dataflow, topics, outside);
      if (problems.length > 0) {
        throw new RunError(['the dataflow has problems:', ...problems].join('\n  '));
      }
    });
