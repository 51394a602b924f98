import type { Option } from 'commander';
import { standardInputName } from '../input/source.ts';
import { oneLine } from '../text.ts';
import {
  brokersOption,
  configOption,
  homeOption,
  pipelineOption,
  registryOption,
} from './options.ts';

/** The flags by which a command finds its pipeline: in a home, or on a cluster. */
export interface PipelineFlags {
  readonly home: string;
  readonly pipeline: string;
  readonly brokers?: string;
  readonly registry?: string;
  readonly config?: string;
}

export const pipelineOptions = (): readonly Option[] => [
  homeOption(),
  brokersOption(),
  registryOption(),
  configOption(),
  pipelineOption(),
];

/** How a command that is suggested finds the same pipeline. */
export const homeFlag = ({
  home,
  brokers,
  registry,
  config,
  pipeline = 'spar',
}: Pick<PipelineFlags, 'home' | 'brokers' | 'registry' | 'config'> & {
  readonly pipeline?: string;
}): string =>
  [
    ...(home === '.spar' ? [] : [['--home', home]]),
    ...(brokers === undefined ? [] : [['--brokers', brokers]]),
    ...(registry === undefined ? [] : [['--registry', registry]]),
    ...(config === undefined ? [] : [['--config', config]]),
    ...(pipeline === 'spar' ? [] : [['--pipeline', pipeline]]),
  ]
    .map(([flag = '', value = '']) => ` ${flag} ${shellWord(value)}`)
    .join('');

/** The command that reads a source on; all its other flags are the user's to know. */
export const runAgain = (source: string): string =>
  `spar run ${source === standardInputName ? '-' : shellWord(source)} …`;

/** Quoted where a shell would take it apart; what is printed can be copied. */
export const shellWord = (text: string): string =>
  /^[\w./~:,-]+$/.test(text) ? text : `'${oneLine(text, 1000).replaceAll("'", `'\\''`)}'`;
