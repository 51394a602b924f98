import { fc, test as property } from '@fast-check/vitest';
import { describe, expect, test } from 'vitest';
import { unlz4, unsnappy } from '../../infra/log/kafka/compression.ts';

/** What the others' libraries made of the same text, in base64: literals short and long, copies near and far. */
const byOthers = {
  snappy: Buffer.from(
    'rAxUU2F5IGl0IGluIGZpdmUgd29yZHMuIP4WAP4WAP4WAP4WAP4WAP4WAP4WAP4WAP4WAP4WAP4WAP4WAP4WAGYWAPQ+AWVzenlj' +
      'aWRweW9wdW16Z2RwYW1udHl5YXdvaXh6aHNka2FhYXVyYW12Z254YXFoeW9wcmhsaHZoeW9qYW5ydWRmdXhqZHhreHdxbnF2Z2pq' +
      'c3BxbXNicGh4em1udmZscnd5dnhsY292cWR5ZnFtbHB4YXBiand0c3NtdWZmcWhheWdycmhtcWxzbG9pdnJ0eGFtenhxemVxeXJn' +
      'bmJwbHNyZ3FucGxubGFycnR6dGtvdGF6aHVmcnNmY3pyemlidmNjYW9heXlpaGlkenRmbGpjZmZpcWZ2aXV3am93a3BwZGFqbWtu' +
      'emdpZGl4cWd0bmFoYW1lYnhmb3dxdm5yaHV6d3FvaHF1YW12c3prdnVuYnhqZWdiamNjamp4Zm5zaWVhcmJzZ3NvZnl3dGFiYWJh' +
      'YmFiYWJhYmFiYWJhYmH+CgD+CgD+CgD+CgD+CgDyCgA=',
    'base64',
  ),
  lz4: Buffer.from(
    'BCJNGFRArlkBAAD/B1NheSBpdCBpbiBmaXZlIHdvcmRzLiAWAP///0r//yBlc3p5Y2lkcHlvcHVtemdkcGFtbnR5eWF3b2l4emhz' +
      'ZGthYWF1cmFtdmdueGFxaHlvcHJobGh2aHlvamFucnVkZnV4amR4a3h3cW5xdmdqanNwcW1zYnBoeHptbnZmbHJ3eXZ4bGNvdnFk' +
      'eWZxbWxweGFwYmp3dHNzbXVmZnFoYXlncnJobXFsc2xvaXZydHhhbXp4cXplcXlyZ25icGxzcmdxbnBsbmxhcnJ0enRrb3Rhemh1' +
      'ZnJzZmN6cnppYnZjY2FvYXl5aWhpZHp0ZmxqY2ZmaXFmdml1d2pvd2twcGRham1rbnpnaWRpeHFndG5haGFtZWJ4Zm93cXZucmh1' +
      'endxb2hxdWFtdnN6a3Z1bmJ4amVnYmpjY2pqeGZuc2llYXJic2dzb2Z5d3RhYgIA/3dQYmFiYWKZvzpcAAAAALnesjg=',
    'base64',
  ),
};

/** Between the repetitions there are 300 letters that nothing repeats. */
const pattern = /^(?:Say it in five words\. ){40}[a-z]{300}(?:ab){200}$/;

const javaFrame = (...blocks: readonly Buffer[]): Buffer =>
  Buffer.concat([
    Buffer.from('82534e41505059000000000100000001', 'hex'),
    ...blocks.flatMap((block) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(block.length);
      return [length, block];
    }),
  ]);

/** Without a single copy: as a compressor writes what it cannot make smaller. */
const asLiterals = (bytes: Uint8Array): Buffer => {
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  const parts = [Buffer.from(length)];
  for (let at = 0; at < bytes.length; at += 1000) {
    const part = bytes.subarray(at, at + 1000);
    const tag = Buffer.alloc(3, 61 << 2);
    tag.writeUInt16LE(part.length - 1, 1);
    parts.push(tag, Buffer.from(part));
  }
  return Buffer.concat(parts);
};

const lz4Frame = (block: Buffer, isCompressed: boolean): Buffer => {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(isCompressed ? block.length : block.length + 2 ** 31);
  return Buffer.concat([Buffer.from('04224d18604082', 'hex'), size, block, Buffer.alloc(4)]);
};

describe('snappy', () => {
  test('that another library wrote is read, bare or as Java frames it', () => {
    const text = unsnappy(byOthers.snappy).toString();
    expect(text).toMatch(pattern);
    expect(unsnappy(javaFrame(byOthers.snappy, byOthers.snappy)).toString()).toBe(text + text);
  });

  property.prop([fc.uint8Array({ maxLength: 5000 })])('brings back any bytes', (bytes) => {
    expect([...unsnappy(asLiterals(bytes))]).toEqual([...bytes]);
    expect([...unsnappy(javaFrame(asLiterals(bytes)))]).toEqual([...bytes]);
  });
});

describe('lz4', () => {
  test('that another library wrote is read', () => {
    expect(unlz4(byOthers.lz4).toString()).toBe(unsnappy(byOthers.snappy).toString());
  });

  test('a block that could not be made smaller is there as it was', () => {
    expect(unlz4(lz4Frame(Buffer.from('as it was'), false)).toString()).toBe('as it was');
  });

  test('a copy that runs into itself repeats, however long', () => {
    // One literal, then 4 + 15 + 255 + 10 bytes from one back.
    const block = Buffer.from([0x1f, 0x61, 1, 0, 255, 10]);
    expect(unlz4(lz4Frame(block, true)).toString()).toBe('a'.repeat(1 + 4 + 15 + 255 + 10));
  });
});

describe.each([
  ['snappy', unsnappy, byOthers.snappy],
  ['lz4', unlz4, byOthers.lz4],
] as const)('hostile %s', (_name, read, good) => {
  property.prop([fc.uint8Array({ maxLength: 200 })])('bytes end in a text or an error', (bytes) => {
    try {
      read(Buffer.from(bytes));
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
  });

  property.prop([fc.nat(good.length - 1), fc.nat(255)])('bytes in between, too', (at, byte) => {
    const changed = Buffer.from(good);
    changed[at] = byte;
    try {
      expect(read(changed).length).toBeLessThan(2 ** 20);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
  });

  test('cut off is an error, wherever', () => {
    for (let length = 0; length < good.length - 4; length++) {
      expect(() => read(good.subarray(0, length))).toThrow(Error);
    }
  });

  test('a batch that would fill memory is refused before it does', () => {
    expect(() => read(good, 1000)).toThrow('a batch of more than 1000 bytes, uncompressed');
  });
});

test.each([
  ['from before its start', Buffer.from([2, 0, 0x61, 5, 9]), /before the start|cut off/],
  ['another length than was announced', Buffer.from([9, 0, 0x61]), /another length/],
])('snappy with %s is refused', (_what, bytes, words) => {
  expect(() => unsnappy(bytes)).toThrow(words);
});

test('what has another beginning is no lz4', () => {
  expect(() => unlz4(Buffer.alloc(20))).toThrow('not a frame');
});
