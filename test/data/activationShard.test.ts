import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { parquetMetadata } from 'hyparquet';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { ParquetReader } from 'parquetjs';
import { describe, expect, it } from 'vitest';
import { decodeActivationShard, encodeActivationShard, type ActivationRows } from '../../data/activationShard.ts';
import { fromFloat16, toFloat16 } from '../../data/float16.ts';
import { UserError } from '../../schemas/errors.ts';
import { RandomStream } from '../../schemas/random.ts';

function shardOf(rows: number, d: number, dtype: ActivationRows['dtype']): ActivationRows {
  const stream = new RandomStream(1, 'activations', rows, d);
  const integers = (n: number): Int32Array => Int32Array.from({ length: rows }, () => stream.integer(n));
  return {
    activations: Float32Array.from({ length: rows * d }, () => (stream.integer(3) === 0 ? stream.normal() : 0)),
    document: integers(2 ** 31),
    position: integers(1_024),
    token: integers(50_257),
    d,
    dtype,
    metadata: { hook: 'blocks.0.mlp.hook_post', key: 'k'.repeat(64), shard: '7' },
  };
}

/** As toEqual, which takes seconds for millions of numbers. */
function sameBytes(a: Float32Array | Int32Array, b: Float32Array | Int32Array): boolean {
  return Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength));
}

describe('an activation shard', () => {
  it.each<[number, number, ActivationRows['dtype']]>([
    [10_000, 48, 'float16'],
    [4_096, 512, 'float16'],
    [4_097, 3, 'float32'],
    [1, 1, 'float16'],
    [0, 16, 'float32'],
  ])('of %i rows of width %i comes back as its %s numbers', async (rows, d, dtype) => {
    const shard = shardOf(rows, d, dtype);
    const back = await decodeActivationShard(encodeActivationShard(shard));
    expect(sameBytes(back.activations, dtype === 'float32' ? shard.activations : fromFloat16(toFloat16(shard.activations)))).toBe(true);
    for (const name of ['document', 'position', 'token'] as const) expect(sameBytes(back[name], shard[name])).toBe(true);
    expect([back.rows, back.d, back.dtype]).toEqual([rows, d, dtype]);
    expect(back.metadata).toEqual({ ...shard.metadata, dtype, shape: `[${d}]`, byteOrder: 'little-endian' });
  });

  it('keeps its layout: plain, uncompressed, row groups of 4,096, no per-vector overhead', () => {
    const bytes = encodeActivationShard(shardOf(10_000, 48, 'float16'));
    const { row_groups: groups, schema } = parquetMetadata(bytes);
    expect(groups.map((group) => Number(group.num_rows))).toEqual([4_096, 4_096, 1_808]);
    expect(groups.flatMap((group) => group.columns.map(({ meta_data }) => [meta_data!.codec, meta_data!.encodings]))).toEqual(Array.from({ length: 12 }, () => ['UNCOMPRESSED', ['PLAIN']]));
    expect(schema.slice(1).map(({ name, type, type_length, repetition_type }) => [name, type, type_length, repetition_type])).toEqual([
      ['activation', 'FIXED_LEN_BYTE_ARRAY', 96, 'REQUIRED'],
      ['document', 'INT32', undefined, 'REQUIRED'],
      ['position', 'INT32', undefined, 'REQUIRED'],
      ['token', 'INT32', undefined, 'REQUIRED'],
    ]);
    expect(bytes.length).toBeLessThan(10_000 * (96 + 12) + 4_000);
  });

  it('has the same bytes whenever and wherever it is written, metadata in any order', () => {
    const shard = shardOf(5_000, 24, 'float16');
    const bytes = encodeActivationShard(shard);
    const turned = { ...shard, metadata: Object.fromEntries(Object.entries(shard.metadata).reverse()) };
    expect(Buffer.from(encodeActivationShard(turned)).equals(bytes)).toBe(true);
    expect(createHash('sha256').update(bytes).digest('hex')).toBe('febdc2bbe916e34d3d62f13419180d2426971692caad3cbfc3a41cde39350862');
  });

  it.each(['float16', 'float32'] as const)('in %s is readable by parquetjs', async (dtype) => {
    const shard = shardOf(5_000, 6, dtype);
    const folder = await mkdtemp(join(tmpdir(), 'saeflow-shard-'));
    try {
      await writeFile(join(folder, 'shard.parquet'), encodeActivationShard(shard));
      const reader = await ParquetReader.openFile(join(folder, 'shard.parquet'));
      expect(reader.getMetadata()).toMatchObject({ hook: 'blocks.0.mlp.hook_post', dtype, shape: '[6]' });
      const cursor = reader.getCursor();
      let rows = 0;
      for (let row = await cursor.next(); row; row = await cursor.next()) {
        const vector = Uint8Array.from(row['activation'] as Buffer).buffer;
        const numbers = dtype === 'float16' ? fromFloat16(new Uint16Array(vector)) : new Float32Array(vector);
        const expected = shard.activations.slice(rows * 6, rows * 6 + 6);
        expect(numbers).toEqual(dtype === 'float16' ? fromFloat16(toFloat16(expected)) : expected);
        expect([row['document'], row['position'], row['token']]).toEqual([shard.document[rows], shard.position[rows], shard.token[rows]]);
        rows++;
      }
      await reader.close();
      expect(rows).toBe(5_000);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('is not written from columns of different lengths', () => {
    const shard = shardOf(4, 2, 'float16');
    expect(() => encodeActivationShard({ ...shard, token: new Int32Array(3) })).toThrow(RangeError);
    expect(() => encodeActivationShard({ ...shard, activations: new Float32Array(7) })).toThrow(RangeError);
  });
});

describe('decodeActivationShard', () => {
  const bytes = encodeActivationShard(shardOf(300, 5, 'float16'));

  it('refuses a truncated file, wherever it ends', async () => {
    for (let length = 0; length < bytes.length; length += 61) await expect(decodeActivationShard(bytes.subarray(0, length))).rejects.toThrow(UserError);
  });

  it('decodes, or says UserError, whatever byte is damaged', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (at, value) => {
        const damaged = Uint8Array.from(bytes);
        damaged[at] = value;
        const outcome = await decodeActivationShard(damaged).catch((error: unknown) => error);
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(UserError);
        else expect(outcome).toMatchObject({ rows: 300, d: 5 });
      }),
      { numRuns: 500 },
    );
  });

  it('refuses Parquet of another kind, and names what it found', async () => {
    const other = new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'text', data: ['a'], type: 'STRING' }] }));
    await expect(decodeActivationShard(other)).rejects.toThrow(/dtype is undefined/);
    const kvMetadata = Object.entries({ dtype: 'float16', shape: '[4]', byteOrder: 'little-endian' }).map(([key, value]) => ({ key, value }));
    const similar = new Uint8Array(parquetWriteBuffer({ columnData: [{ name: 'text', data: ['a'], type: 'STRING' }], kvMetadata }));
    await expect(decodeActivationShard(similar)).rejects.toThrow(/its columns are text BYTE_ARRAY/);
  });
});
