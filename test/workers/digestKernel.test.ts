// The processor's digests against Node's own, and against the table.
import { createHash, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, expect, it } from 'vitest';
import { crc32, crc32Portable } from '../../data/crc32.ts';
import { registerDigestKernel } from '../../data/digestKernel.ts';
import { pieceHash } from '../../data/pieceHash.ts';
import { openSaeKernel } from '../../workers/saeKernel.ts';

/** Not on every processor: there Node's digests are all there is. */
const kernel = openSaeKernel(2, {})?.digest;
afterEach(() => registerDigestKernel(undefined));

const bytes = randomBytes(100_000);
const oracle = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');

it('is left out where the portable instruction set is asked for', () => {
  expect(openSaeKernel(1, { SAEFLOW_SAE_KERNEL: 'portable' })?.digest).toBeUndefined();
});

it.runIf(kernel !== undefined)('has the CRC-32 of the table, at every length and alignment', () => {
  for (let length = 0; length < 700; length++) {
    const part = bytes.subarray(length % 17, (length % 17) + length);
    expect(kernel!.crc32(part)).toBe(crc32Portable(part));
  }
  registerDigestKernel(kernel);
  expect(crc32(bytes)).toBe(crc32Portable(bytes));
  expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
  expect(kernel!.crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
});

it.runIf(kernel !== undefined)('has the SHA-256 of OpenSSL, at every length around a block', async () => {
  for (let length = 0; length < 300; length++) {
    const hash = kernel!.createHash();
    const target = new Uint8Array(32);
    await kernel!.hash(hash, [bytes.subarray(1, 1 + length)]);
    kernel!.digest(hash, target);
    expect(Buffer.from(target).toString('hex')).toBe(oracle(bytes.subarray(1, 1 + length)));
  }
});

it('hashes the same whatever the pieces, with the kernel and without', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 40 }), async (sizes) => {
      const ends = sizes.map((_, index) => sizes.slice(0, index + 1).reduce((sum, size) => sum + size, 0) % bytes.length);
      const pieces = sizes.map((size, index) => bytes.subarray(Math.max(0, ends[index]! - size), ends[index]));
      for (const used of [undefined, kernel]) {
        registerDigestKernel(used);
        const hash = pieceHash();
        for (const piece of pieces) await hash.add(piece);
        expect(await hash.digest()).toBe(oracle(Buffer.concat(pieces)));
      }
    }),
    { numRuns: 50 },
  );
});

it('hashes more than may wait', async () => {
  registerDigestKernel(kernel);
  const large = Buffer.alloc(20 * 2 ** 20, 'large');
  const hash = pieceHash();
  for (let turn = 0; turn < 3; turn++) await hash.add(large);
  expect(await hash.digest()).toBe(oracle(Buffer.concat([large, large, large])));
});

it.runIf(kernel !== undefined)('refuses what is no hash, no bytes, and a hash that is busy or finished', async () => {
  const hash = kernel!.createHash();
  const running = kernel!.hash(hash, [bytes]);
  expect(() => kernel!.hash(hash, [bytes])).toThrow('busy');
  expect(() => kernel!.digest(hash, new Uint8Array(32))).toThrow('busy');
  await running;
  expect(() => kernel!.digest(hash, new Uint8Array(31))).toThrow(TypeError);
  kernel!.digest(hash, new Uint8Array(32));
  expect(() => kernel!.hash(hash, [bytes])).toThrow('finished');
  expect(() => kernel!.hash(kernel!.createHash(), [new Uint16Array(1) as unknown as Uint8Array])).toThrow(TypeError);
  expect(() => kernel!.hash({}, [bytes])).toThrow('not a hash');
  // a handle of the same addon, but another kind
  const training = openSaeKernel(2, {})!.create(4, 4);
  expect(() => kernel!.hash(training, [bytes])).toThrow('not a hash');
  expect(() => kernel!.digest(training, new Uint8Array(32))).toThrow('not a hash');
  expect(() => kernel!.crc32('x' as unknown as Uint8Array)).toThrow(TypeError);
});

it.runIf(kernel !== undefined)('many hashes at once do not mix, and one that is forgotten while it runs harms nothing', async () => {
  const parts = Array.from({ length: 60 }, (_, index) => bytes.subarray(index, index * 1_500));
  await Promise.all(
    parts.map(async (part, index) => {
      const hash = kernel!.createHash();
      await kernel!.hash(hash, [new Uint8Array(0), part, new Uint8Array(0)]);
      void kernel!.hash(kernel!.createHash(), [Buffer.alloc(1e6, index)]);
      const target = new Uint8Array(32);
      kernel!.digest(hash, target);
      expect(Buffer.from(target).toString('hex')).toBe(oracle(part));
    }),
  );
});
