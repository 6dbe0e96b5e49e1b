import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ActivationFile } from '../../data/activationFile.ts';
import { layoutOf, rowsPerGroup } from '../../data/activationFormat.ts';
import { encodeActivationShard, type ActivationDtype } from '../../data/activationShard.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { crc32, crc32Portable } from '../../data/crc32.ts';
import { fromFloat16, toFloat16 } from '../../data/float16.ts';
import type { FileEntry } from '../../schemas/artifact.ts';
import { UserError } from '../../schemas/errors.ts';
import { RandomStream } from '../../schemas/random.ts';

const artifact = { stage: 'sampleActivations', key: 'a'.repeat(64) } as const;
const path = 'shards/00000.parquet';
const objectPath = `sampleActivations/${artifact.key}/${path}`;
let folder: string;
let store: ArtifactStore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-shard-'));
  store = openStore(folder);
});
afterAll(() => rm(folder, { recursive: true }));

function shardOf(rows: number, d: number, dtype: ActivationDtype) {
  const stream = new RandomStream(2, 'shard', rows, d);
  const integers = () => Int32Array.from({ length: rows }, () => stream.integer(1_000));
  return { activations: Float32Array.from({ length: rows * d }, () => stream.normal()), document: integers(), position: integers(), token: integers(), d, dtype, metadata: {} };
}

async function put(bytes: Uint8Array, rows: number): Promise<FileEntry> {
  return { path, rows, ...(await store.put(objectPath, bytes)) };
}

describe('an activation file', () => {
  it.each<[number, number, ActivationDtype]>([
    [10_000, 24, 'float16'],
    [4_096, 3, 'float32'],
    [4_097, 7, 'float16'],
    [50, 5, 'float32'],
  ])('of %i rows of width %i gives each row group of its %s numbers, in any order', async (rows, d, dtype) => {
    const shard = shardOf(rows, d, dtype);
    const file = new ActivationFile(store, artifact, await put(encodeActivationShard(shard), rows), d);
    for (let group = Math.ceil(rows / rowsPerGroup) - 1; group >= 0; group--) {
      const { vectors, documents } = await file.read(group);
      const numbers = vectors instanceof Uint16Array ? fromFloat16(vectors) : vectors;
      const [from, to] = [group * rowsPerGroup, Math.min(rows, (group + 1) * rowsPerGroup)];
      const expected = shard.activations.slice(from * d, to * d);
      expect(Buffer.from(Float32Array.from(numbers).buffer).equals(Buffer.from((dtype === 'float16' ? fromFloat16(toFloat16(expected)) : expected).buffer))).toBe(true);
      expect(documents).toEqual(shard.document.slice(from, to));
    }
  });

  it('reads the same into the memory of any block read before, larger or smaller, and takes new memory where it is too small', async () => {
    const shards = [shardOf(9_000, 6, 'float16'), shardOf(4_500, 5, 'float32'), shardOf(20, 7, 'float16')];
    const files = await Promise.all(shards.map(async (shard, index) => {
      const rows = shard.document.length;
      const name = `shards/0001${index}.parquet`;
      const entry = { path: name, rows, ...(await store.put(`sampleActivations/${artifact.key}/${name}`, encodeActivationShard(shard))) };
      return new ActivationFile(store, artifact, entry, shard.d);
    }));
    let [reused, replaced] = [0, 0];
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), fc.nat(2)), { minLength: 2, maxLength: 8 }), async (reads) => {
        let room: Uint8Array | undefined;
        for (const [index, at] of reads) {
          const file = files[index]!;
          const group = at % Math.ceil(file.rows / rowsPerGroup);
          const expected = await file.read(group);
          const block = await file.read(group, room?.fill(0xff));
          expect(Buffer.from(block.vectors.buffer, block.vectors.byteOffset, block.vectors.byteLength).equals(Buffer.from(expected.vectors.buffer, expected.vectors.byteOffset, expected.vectors.byteLength))).toBe(true);
          expect(block.documents).toEqual(expected.documents);
          if (room !== undefined && block.vectors.buffer === room.buffer) reused++;
          else if (room !== undefined) replaced++;
          room = block.room;
        }
      }),
      { numRuns: 40 },
    );
    expect(Math.min(reused, replaced)).toBeGreaterThan(5);
  });

  it('reads a footer of any length', async () => {
    const shard = { ...shardOf(5_000, 2, 'float16'), metadata: { notes: 'x'.repeat(100_000) } };
    const file = new ActivationFile(store, artifact, await put(encodeActivationShard(shard), 5_000), 2);
    expect((await file.read(1)).documents).toEqual(shard.document.slice(4_096));
  });

  it('notices a flipped bit wherever it reads, names file and row group, and reads again once the file is whole', async () => {
    const bytes = encodeActivationShard(shardOf(5_000, 6, 'float16'));
    const entry = await put(bytes, 5_000);
    const file = new ActivationFile(store, artifact, entry, 6);
    const { bounds } = layoutOf(bytes, bytes.length).groups[1]!;
    await file.read(1);
    for (const at of [bounds[0]! + 100, bounds[1]! - 1, bounds[1]! + 40, bounds[2]! - 1]) {
      const damaged = Uint8Array.from(bytes);
      damaged[at]! ^= 4;
      await put(damaged, 5_000);
      const error: unknown = await file.read(1).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).message).toMatch(/^.*sampleActivations.*00000\.parquet is corrupted \(row group 1\): /);
      await expect(file.read(0)).resolves.toBeDefined();
    }
    await put(bytes, 5_000);
    await expect(file.read(1)).resolves.toBeDefined();
  });

  it('says what is wrong with a file that is cut off, of other vectors, no Parquet, or gone', async () => {
    const bytes = encodeActivationShard(shardOf(5_000, 6, 'float16'));
    const entry = await put(bytes, 5_000);
    const failure = async (given: FileEntry, d = 6) => (await new ActivationFile(store, artifact, given, d).read(0).catch((error: unknown) => error)) as UserError;
    expect(await failure(entry, 7)).toMatchObject({ name: 'UserError', message: expect.stringContaining('5000 vectors of 6, where its manifest names 5000 of 7') as string });
    expect((await failure({ ...entry, rows: 4_999 })).message).toContain('where its manifest names 4999');
    await store.put(objectPath, bytes.subarray(0, 30_000));
    expect(await failure(entry)).toBeInstanceOf(UserError);
    await store.put(objectPath, new Uint8Array(bytes.length));
    expect((await failure(entry)).message).toContain('it does not end as a Parquet file does');
    await store.delete(objectPath);
    expect((await failure(entry)).message).toContain('is missing, though its manifest names it');
  });
});

it('a shard is written in memory that does not grow with it, and leaves no other file', async () => {
  const large = join(folder, 'large');
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'writeShard.ts'), large, '16', '128']);
  const [few, many] = stdout.trim().split(' ').map(Number) as [number, number];
  // 64 MB and 512 MB of vectors; what a heap holds until it is collected differs by some tens of MB.
  expect(many - few).toBeLessThan(128 * 2 ** 20);
  expect(await readdir(large)).toEqual(['few', 'many']);
}, 60_000);

it('CRC-32 is the one of gzip, by zlib and by the table', () => {
  const bytes = Buffer.from('123456789');
  expect(crc32Portable(bytes)).toBe(0xcbf43926);
  expect(crc32(bytes)).toBe(0xcbf43926);
  expect(crc32Portable(new Uint8Array(0))).toBe(0);
});
