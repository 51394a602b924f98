/** An answer as it is written: one row, and the ids of its draws that lead to it. */
export interface Answer {
  readonly iteration: string;
  /** Of its draws, 128 bits each, in hex. */
  readonly ids: readonly string[];
  /** The entries, as JSON. */
  readonly body: string;
}

/** An answer as the thread reads it: views into the buffer that it came in. */
export interface PackedAnswer {
  readonly iteration: string;
  readonly ids: readonly Uint8Array[];
  readonly body: Uint8Array;
}

/** Bytes that a new buffer has, and the most that one keeps for the next batch. */
const bytesAtFirst = 256 * 1024;
const bytesKept = 2 * 1024 * 1024;

const idBytes = 16;
const fieldBytes = 4;

/**
 * Answers on their way to the thread, in one buffer that is handed over: texts of some kilobytes each would otherwise be
 * copied twice, and their strings be made a second time in the heap over there.
 *
 * Each is: bytes of the iteration, draws, bytes of the body (32 bits each, little endian), then those three.
 */
export class PackedAnswers {
  #buffer: Buffer | null = null;
  #spare: ArrayBuffer | null = null;
  #length = 0;

  add({ iteration, ids, body }: Answer): void {
    const head = 3 * fieldBytes + ids.length * idBytes;
    const [iterationBytes, bodyBytes] = [Buffer.byteLength(iteration), Buffer.byteLength(body)];
    const buffer = this.#room(head + iterationBytes + bodyBytes);
    let at = this.#length;
    for (const field of [iterationBytes, ids.length, bodyBytes]) {
      at = buffer.writeUInt32LE(field, at);
    }
    at += buffer.write(iteration, at);
    for (const id of ids) at += buffer.write(id, at, 'hex');
    this.#length = at + buffer.write(body, at);
  }

  /** All that was added since it was last taken. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = new Uint8Array(
      (this.#buffer?.buffer as ArrayBuffer | undefined) ?? new ArrayBuffer(0),
      0,
      this.#length,
    );
    this.#buffer = null;
    this.#length = 0;
    return taken;
  }

  /** Takes a buffer back, to use it again, unless there is a larger one: a batch of notes alone has none to speak of. */
  giveBack(buffer: ArrayBuffer): void {
    const { byteLength } = buffer;
    if (byteLength <= bytesKept && byteLength > (this.#spare?.byteLength ?? 0))
      this.#spare = buffer;
  }

  #room(bytes: number): Buffer {
    const needed = this.#length + bytes;
    if (this.#buffer && this.#buffer.length >= needed) return this.#buffer;
    const spare = this.#spare && this.#spare.byteLength >= needed ? this.#spare : null;
    this.#spare = null;
    const larger = Buffer.from(
      spare ?? new ArrayBuffer(Math.max(bytesAtFirst, needed, 2 * (this.#buffer?.length ?? 0))),
    );
    this.#buffer?.copy(larger, 0, 0, this.#length);
    return (this.#buffer = larger);
  }
}

export function* answersIn(packed: Uint8Array): Generator<PackedAnswer> {
  const buffer = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  for (let at = 0; at < buffer.length;) {
    const next = (bytes: number) => buffer.subarray(at, (at += bytes));
    const [iterationBytes, draws, bodyBytes] = [0, 1, 2].map(() =>
      next(fieldBytes).readUInt32LE(),
    ) as [number, number, number];
    const iteration = next(iterationBytes).toString();
    const ids = Array.from({ length: draws }, () => next(idBytes));
    yield { iteration, ids, body: next(bodyBytes) };
  }
}
