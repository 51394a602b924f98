import type { Difference } from './plan.ts';
import { unlimited, type WantedTopic } from './wanted.ts';

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

/** What is the matter with it; a problem says what to do. */
export function inWords(difference: Difference): string {
  switch (difference.kind) {
    case 'missing':
      return wantedInWords(difference.wanted);
    case 'config': {
      const { config, level } = difference;
      const [is, wanted] = [difference.is, difference.wanted].map((value) =>
        valueInWords(config, value),
      );
      return level === 'change'
        ? `${config}: ${is} → ${wanted}`
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
      if (level === 'change') return another ? 'schema: a new version' : 'schema';
      return (
        `the schema of this version of spar does not fit the ones there: ${reasons.join('; ')}. Use the version of ` +
        'spar that wrote them, or name another pipeline'
      );
    }
  }
}

/** Lines of a list; what is the same of many topics is said once. */
export function lines(
  differences: readonly Difference[],
  lineOf: (subject: string, text: string, difference: Difference) => string,
): readonly string[] {
  const groups = Map.groupBy(differences, (one) =>
    one.level === 'change' ? `${subjectOf(one)} ${inWords(one)}` : inWords(one),
  );
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const subjects = group.map(subjectOf);
    const few = subjects.slice(0, 2).join(', ');
    const subject = subjects.length > 2 ? `${few} and ${subjects.length - 2} more` : few;
    return [lineOf(subject, inWords(first), first)];
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

function bytesInWords(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(names.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${names[power] ?? ''}`;
}

const partitionsInWords = (count: number): string => `${count} partition${count === 1 ? '' : 's'}`;

const copiesInWords = (count: number): string => `${count} ${count === 1 ? 'copy' : 'copies'}`;
