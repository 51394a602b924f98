import type { Option } from 'commander';
import type { Home } from '../home/home.ts';
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

/** Where a pipeline is, for a sentence about what is or is not there. */
export const placeOf = ({
  isShared,
  folder,
  pipeline,
}: Pick<Home, 'isShared' | 'folder' | 'pipeline'>): string =>
  isShared ? `the pipeline ${pipeline} on the cluster` : folder;

/** The command that reads a source on; all its other flags are the user's to know. */
export const runAgain = (source: string): string => `spar run ${sourceWord(source)} …`;

/** The same for a pipeline on a cluster, where whoever reads a source need not work. */
export const ingestAgain = (source: string, iteration: string, flags: PipelineFlags): string =>
  `spar ingest ${sourceWord(source)} --iteration ${shellWord(iteration)}${homeFlag(flags)}`;

/** A worker for a pipeline on a cluster; its models are the user's to know. */
export const workerFor = (iteration: string, flags: PipelineFlags): string =>
  `spar worker${iteration === '1' ? '' : ` --iteration ${shellWord(iteration)}`}${homeFlag(flags)} …`;

const sourceWord = (source: string): string =>
  source === standardInputName ? '-' : shellWord(source);

/** Quoted where a shell would take it apart; what is printed can be copied. */
export const shellWord = (text: string): string =>
  /^[\w./~:,-]+$/.test(text) ? text : `'${oneLine(text, 1000).replaceAll("'", `'\\''`)}'`;
