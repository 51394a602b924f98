import { createHash } from 'node:crypto';
import type { Constraint, Instruction, Message } from '../../schemas/records.ts';

/**
 * What an instruction asks for, as 128 bits of SHA-256 in hex: two with the same digest are the same instruction
 * twice. Unicode form, line ends and outer blanks do not count, and neither do ids, sources, given responses or
 * other fields.
 */
export const contentDigest = ({
  messages,
  constraints,
}: Pick<Instruction, 'messages' | 'constraints'>): string =>
  digest([messages.map(turn), constraints.map(requirement)]);

/** The id of an instruction whose source gave it none: the same conversation always has the same. */
export const idOf = (messages: readonly Message[]): string => digest(messages.map(turn));

const turn = ({ role, content }: Message) => [role, normalised(content)];

const requirement = (constraint: Constraint) => [
  normalised(constraint.id),
  normalised(constraint.arguments),
];

const normalised = (text: string): string =>
  text.toWellFormed().normalize('NFC').replaceAll(/\r\n?/g, '\n').trim();

const digest = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
