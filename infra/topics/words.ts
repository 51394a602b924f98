import type { WantedTopic } from './admin.ts';
import type { Difference } from './plan.ts';
import { unlimited } from './wanted.ts';

/** What a difference is about. */
export function subjectOf(difference: Difference): string {
  switch (difference.kind) {
    case 'missing':
      return difference.wanted.name;
    case 'brokers':
      return 'the cluster';
    case 'schema':
      return difference.subject;
    default:
      return difference.topic;
  }
}

/** What `spar topics apply` would do about it, or why it would do nothing. */
export function planned(difference: Difference): string {
  if (difference.level !== 'change') return complaint(difference);
  switch (difference.kind) {
    case 'missing':
      return wantedInWords(difference.wanted);
    case 'config': {
      const { config, is, wanted } = difference;
      return `${config}: ${valueInWords(config, is)} → ${valueInWords(config, wanted)}`;
    }
    case 'schema':
      return difference.another ? 'schema: a new version' : 'schema';
  }
}

/** What is the matter with it; of a problem, what to do. */
export function complaint(difference: Difference): string {
  switch (difference.kind) {
    case 'missing':
      return 'missing';
    case 'config': {
      const { config, level } = difference;
      const [is = '', wanted = ''] = [difference.is, difference.wanted].map((value) =>
        valueInWords(config, value),
      );
      return level === 'change'
        ? `${config} is ${is}, and should be ${wanted}`
        : `${config}: ${is} stays, though ${wanted} would do`;
    }
    case 'partitions': {
      const { is, wanted, asked } = difference;
      return asked
        ? `${partitionsInWords(is)}, and the settings say ${wanted}. The number never changes, since keys would ` +
            `move: set kafka.partitions to ${is}, or name another pipeline`
        : `${partitionsInWords(is)}, and the pipeline's other topics have ${wanted}. All need the same number, and it ` +
            'never changes, since keys would move: name another pipeline, or delete the topic if nobody needs what ' +
            'is in it';
    }
    case 'replication': {
      const { is, wanted, level } = difference;
      return level === 'problem'
        ? `${copiesInWords(is)} of each partition, and the settings say ${wanted}: add some with ` +
            `kafka-reassign-partitions.sh, or set kafka.replication to ${is}`
        : `${copiesInWords(is)} of each partition; a new topic would have ${wanted}`;
    }
    case 'brokers': {
      const { is, wanted } = difference;
      return (
        `${is === 1 ? '1 broker is' : `${is} brokers are`} up, and ${copiesInWords(wanted)} of each partition need ` +
        `${wanted}: set kafka.replication to ${is}, or start the others`
      );
    }
    case 'schema': {
      const { another, reasons, level } = difference;
      if (level === 'change') {
        return another ? 'only other versions are in the registry' : 'not in the registry';
      }
      return (
        `the schema of this version of spar does not fit those that are there: ${reasons.join('; ')}. Use the ` +
        'version of spar that wrote them, or name another pipeline'
      );
    }
  }
}

/** A line for each, where what is the same of several is said once. */
export function complaints(
  differences: readonly Difference[],
  lineOf = (subjects: string, text: string): string => `${subjects}: ${text}`,
): readonly string[] {
  return [...Map.groupBy(differences, complaint)].map(([text, group]) => {
    const subjects = group.map(subjectOf);
    const few = subjects.slice(0, 2).join(', ');
    return lineOf(subjects.length > 2 ? `${few} and ${subjects.length - 2} more` : few, text);
  });
}

function wantedInWords({ partitions, replication, configs }: WantedTopic): string {
  const kept = keptInWords(configs);
  return [
    `${partitionsInWords(partitions)} × ${replication}`,
    kept === latestInWords ? 'only the latest of each key' : `kept ${kept}`,
    valueInWords('max.message.bytes', configs['max.message.bytes'] ?? ''),
  ].join(', ');
}

const latestInWords = 'latest of each key';

/** For how long a topic with these configs keeps its records. */
export function keptInWords(configs: Readonly<Record<string, string>>): string {
  const policies = (configs['cleanup.policy'] ?? '').split(',');
  const bytes = configs['retention.bytes'] ?? unlimited;
  return [
    ...(policies.includes('compact') ? [latestInWords] : []),
    ...(policies.includes('delete')
      ? [
          valueInWords('retention.ms', configs['retention.ms'] ?? ''),
          ...(bytes === unlimited ? [] : [`${bytesInWords(Number(bytes))} a partition`]),
        ]
      : []),
  ].join(', ');
}

export function valueInWords(config: string, value: string): string {
  if (config === 'retention.ms') return value === unlimited ? 'for ever' : spanInWords(value);
  if (config === 'retention.bytes' && value === unlimited) return 'no limit';
  return config.endsWith('.bytes') ? bytesInWords(Number(value)) : value;
}

const units = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
] as const;

function spanInWords(value: string): string {
  const ms = Number(value);
  const [unit, name] = units.find(([one]) => ms >= one && ms % one === 0) ?? [1, 'ms'];
  return `${ms / unit} ${name}`;
}

export function bytesInWords(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(names.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${names[power] ?? ''}`;
}

const partitionsInWords = (count: number): string => `${count} partition${count === 1 ? '' : 's'}`;

const copiesInWords = (count: number): string => `${count} ${count === 1 ? 'copy' : 'copies'}`;
