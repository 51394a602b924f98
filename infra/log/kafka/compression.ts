import { promisify } from 'node:util';
import { gunzip, zstdDecompress } from 'node:zlib';

/**
 * What producers compress with: reading only. gzip and zstd are Node's; snappy and LZ4, which Node has not, are here.
 * What is compressed comes from outside, so every length is held against the bytes that are there, and what comes out
 * against a bound.
 */

/** As many bytes as a process holds in flight; a batch of more is a mistake, or an attack. */
const outputBytesMax = 256 * 1024 * 1024;

/**
 * What was packed with one of the codecs that Kafka numbers.
 *
 * @throws Error if it was not, or is larger
 */
export async function unpacked(
  codec: number,
  input: Buffer,
  bytesMax = outputBytesMax,
): Promise<Buffer> {
  switch (codec) {
    case 0:
      return input;
    case 1:
      return await bounded(ungzip, input, bytesMax);
    case 2:
      return unsnappy(input, bytesMax);
    case 3:
      return unlz4(input, bytesMax);
    case 4:
      return await bounded(unzstd, input, bytesMax);
    default:
      throw new Error(`it is packed with codec ${codec}, which this version does not know`);
  }
}

const [ungzip, unzstd] = [promisify(gunzip), promisify(zstdDecompress)];

/** Node's stop as soon as they have written more. */
async function bounded(
  unpack: typeof ungzip | typeof unzstd,
  input: Buffer,
  bytesMax: number,
): Promise<Buffer> {
  try {
    return await unpack(input, { maxOutputLength: bytesMax });
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'ERR_BUFFER_TOO_LARGE') throw error;
    throw new Error(tooLarge(bytesMax), { cause: error });
  }
}

const tooLarge = (bytesMax: number): string =>
  `a batch of more than ${bytesMax} bytes, uncompressed`;

/**
 * One snappy block, or several in the frame that Java clients put around them.
 *
 * @throws Error if it is no such thing
 */
export function unsnappy(input: Buffer, bytesMax = outputBytesMax): Buffer {
  const output = new Output(bytesMax);
  if (!input.subarray(0, javaMagic.length).equals(javaMagic)) {
    unsnappyBlock(new Input(input), output);
    return output.bytes;
  }
  const framed = new Input(input, javaMagic.length + javaVersionsBytes);
  while (framed.left > 0) {
    const length = framed.take(4).readUInt32BE();
    unsnappyBlock(new Input(framed.take(length)), output);
  }
  return output.bytes;
}

/** `\x82SNAPPY\0`, then two version numbers; snappy-java writes them, and librdkafka does not. */
const javaMagic = Buffer.from('82534e4150505900', 'hex');
const javaVersionsBytes = 8;

function unsnappyBlock(input: Input, output: Output): void {
  const end = output.length + input.varint();
  while (input.left > 0) {
    const tag = input.byte();
    const bits = tag >> 2;
    switch (tag & 3) {
      case 0:
        // Up to 60 the bits are the length less one; above, they say in how many bytes it follows.
        output.literal(input.take(1 + (bits < 60 ? bits : input.little(bits - 59))));
        break;
      case 1:
        output.copy(((tag >> 5) << 8) | input.byte(), 4 + (bits & 7));
        break;
      case 2:
        output.copy(input.little(2), 1 + bits);
        break;
      default:
        output.copy(input.little(4), 1 + bits);
    }
  }
  if (output.length !== end) throw new Error('snappy: another length than was announced');
}

/**
 * An LZ4 frame. Checksums are passed over: the batch around it has one of its own, and it came over TCP.
 *
 * @throws Error if it is no such thing
 */
export function unlz4(bytes: Buffer, bytesMax = outputBytesMax): Buffer {
  const [input, output] = [new Input(bytes), new Output(bytesMax)];
  if (input.little(4) !== lz4Magic) throw new Error('lz4: not a frame');
  const flags = input.byte();
  const has = (bit: number): boolean => (flags & bit) !== 0;
  // How large blocks may be, the size of the content if it is told, a dictionary that Kafka has none of, a checksum.
  input.take(1 + (has(0x08) ? 8 : 0) + (has(0x01) ? 4 : 0) + 1);
  for (let size = input.little(4); size !== 0; size = input.little(4)) {
    const block = input.take(size & 0x7fffffff);
    if (size > 0x7fffffff) output.literal(block);
    else unlz4Block(new Input(block), output);
    if (has(0x10)) input.take(4);
  }
  return output.bytes;
}

const lz4Magic = 0x184d2204;

function unlz4Block(input: Input, output: Output): void {
  while (input.left > 0) {
    const token = input.byte();
    output.literal(input.take(lz4Length(input, token >> 4)));
    // The last sequence is literals alone.
    if (input.left > 0) output.copy(input.little(2), 4 + lz4Length(input, token & 15));
  }
}

/** 15 means that more is to come, byte by byte, until one is not 255. */
function lz4Length(input: Input, nibble: number): number {
  let length = nibble;
  for (let more = nibble === 15 ? 255 : 0; more === 255;) {
    more = input.byte();
    length += more;
  }
  return length;
}

class Input {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new Error('compressed bytes are cut off');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new Error('compressed bytes are cut off');
    return byte;
  }

  /** A number of so many bytes, the lowest first. */
  little(bytes: number): number {
    let value = 0;
    for (let factor = 1, left = bytes; left > 0; left--, factor *= 256) {
      value += this.byte() * factor;
    }
    return value;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.byte();
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  }
}

const shortBytes = 64;

/** Grows as it is written, up to its bound. */
class Output {
  #buffer = Buffer.allocUnsafe(64 * 1024);
  readonly #bytesMax: number;
  length = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.length);
  }

  literal(bytes: Buffer): void {
    this.#reserve(bytes.length);
    this.length += bytes.copy(this.#buffer, this.length);
  }

  /** What is there already, from so far back on; it may run into what it writes, which repeats it. */
  copy(back: number, length: number): void {
    if (back === 0 || back > this.length)
      throw new Error('compressed bytes point before the start');
    this.#reserve(length);
    const from = this.length - back;
    if (length <= shortBytes) {
      // Most are: a loop is faster than a call.
      for (let at = 0; at < length; at++) {
        this.#buffer[this.length + at] = this.#buffer[from + at] ?? 0;
      }
      this.length += length;
      return;
    }
    for (let done = 0; done < length;) {
      const part = Math.min(length - done, back + done);
      this.#buffer.copy(this.#buffer, this.length + done, from, from + part);
      done += part;
    }
    this.length += length;
  }

  #reserve(more: number): void {
    const needed = this.length + more;
    if (needed > this.#bytesMax) {
      throw new Error(tooLarge(this.#bytesMax));
    }
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.min(this.#bytesMax, 2 * needed));
    this.#buffer.copy(larger, 0, 0, this.length);
    this.#buffer = larger;
  }
}
