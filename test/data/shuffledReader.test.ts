import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShuffledReader, type ReadableShard, type ShuffledReaderOptions } from '../../data/shuffledReader.ts';
import { expectedDocuments } from '../../data/documentDiversity.ts';
import { fromFloat16, toFloat16 } from '../../data/float16.ts';
import { UserError } from '../../schemas/errors.ts';
import { RandomStream } from '../../schemas/random.ts';

const d = 2;
const blockRows = 8;

/** Shards whose rows are [id, -id] with ids counted through all of them; a row's document is its id by sevens. */
function shardsOf(sizes: number[], onLoad: (shard: number, block: number) => void = () => undefined, rowsOfBlock = blockRows): ReadableShard[] {
  let next = 0;
  return sizes.map((rows, shard) => {
    const first = next;
    next += rows;
    return {
      rows,
      read: async (block) => {
        onLoad(shard, block);
        await new Promise((done) => setImmediate(done));
        const ids = Array.from({ length: Math.min(rowsOfBlock, rows - block * rowsOfBlock) }, (_, row) => first + block * rowsOfBlock + row);
        return { vectors: Float32Array.from(ids.flatMap((id) => [id, -id])), documents: Int32Array.from(ids, (id) => Math.floor(id / 7)) };
      },
    };
  });
}

function readerOf(sizes: number[], options: Partial<ShuffledReaderOptions> = {}): ShuffledReader {
  return new ShuffledReader({ shards: shardsOf(sizes, undefined, options.blockRows), blockRows, d, batchSize: 4, mixShards: 2, seed: 1, epochs: 1, ...options });
}

/** The ids of a batch; fails when a row was torn. */
function idsOf(batch: Float32Array): number[] {
  const ids = Array.from({ length: batch.length / d }, (_, row) => batch[row * d]!);
  ids.forEach((id, row) => expect(batch[row * d + 1]).toBe(-id));
  return ids;
}

async function readAll(reader: ShuffledReader): Promise<number[]> {
  const ids: number[] = [];
  for (let batch = 0; batch < reader.batches; batch++) ids.push(...idsOf(await reader.read(batch)));
  return ids;
}

async function batchesOf(reader: ShuffledReader): Promise<Float32Array[]> {
  const batches: Float32Array[] = [];
  for (let batch = 0; batch < reader.batches; batch++) batches.push(await reader.read(batch));
  return batches;
}

/** Shards that read into the memory they are given: filled with rubbish at once, with the rows only some turns later. */
function reusing(shards: ReadableShard[], rowsOfBlock: number, fails: () => boolean): { shards: ReadableShard[]; counts: { reused: number } } {
  const counts = { reused: 0 };
  const read = async (shard: ReadableShard, block: number, room: Uint8Array | undefined) => {
    if (room !== undefined) counts.reused++;
    const memory = room ?? new Uint8Array(rowsOfBlock * d * 4);
    memory.fill(0xff);
    const { vectors, documents } = await shard.read(block);
    memory.set(new Uint8Array(vectors.buffer));
    if (fails()) throw new Error('the disk went away');
    return { vectors: new Float32Array(memory.buffer, 0, vectors.length), documents, room: memory };
  };
  return { shards: shards.map((shard) => ({ rows: shard.rows, read: (block, room) => read(shard, block, room) })), counts };
}

const arbitrary = {
  sizes: fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 9 }),
  options: fc.record({ blockRows: fc.integer({ min: 1, max: 12 }), batchSize: fc.integer({ min: 1, max: 40 }), mixShards: fc.integer({ min: 1, max: 12 }), seed: fc.nat(), epochs: fc.integer({ min: 1, max: 4 }) }),
};

describe('ShuffledReader', () => {
  it('reads each row exactly once an epoch, whatever the shards, K, batch and epochs', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary.sizes, arbitrary.options, async (sizes, options) => {
        const reader = readerOf(sizes, options);
        const total = sizes.reduce((sum, rows) => sum + rows, 0);
        expect(reader.totalRows).toBe(total);
        expect(reader.batches).toBe(Math.floor((total * options.epochs) / options.batchSize));
        const ids = await readAll(reader);
        expect(ids).toHaveLength(reader.batches * options.batchSize);
        for (let epoch = 0; epoch * total < ids.length; epoch++) {
          const read = ids.slice(epoch * total, (epoch + 1) * total);
          expect(new Set(read).size).toBe(read.length);
          expect(read.every((id) => id >= 0 && id < total)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('tells where each vector of a batch is from, without loading a shard', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary.sizes, arbitrary.options, async (sizes, options) => {
        const firstOf = (shard: number) => sizes.slice(0, shard).reduce((sum, rows) => sum + rows, 0);
        const asked = readerOf(sizes, { ...options, shards: shardsOf(sizes, () => expect.unreachable(), options.blockRows) });
        const reader = readerOf(sizes, options);
        for (let batch = 0; batch < reader.batches; batch++) {
          const ids = asked.sources(batch).map(({ shard, row }) => firstOf(shard) + row);
          expect(ids).toEqual(idsOf(await reader.read(batch)));
          expect(reader.sources(batch)).toEqual(asked.sources(batch));
          expect(reader.distinctDocuments(batch)).toBe(new Set(ids.map((id) => Math.floor(id / 7))).size);
          expect(asked.distinctDocuments(batch)).toBeUndefined();
        }
        expect(() => asked.sources(asked.batches)).toThrow(RangeError);
      }),
      { numRuns: 30 },
    );
  });

  it('gives the same batch in any order of reading, at once, and from any point of resumption', async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary.sizes, arbitrary.options, fc.infiniteStream(fc.nat()), async (sizes, options, picks) => {
        const inOrder = readerOf(sizes, options);
        const expected: Float32Array[] = [];
        for (let batch = 0; batch < inOrder.batches; batch++) expected.push(await inOrder.read(batch));
        fc.pre(expected.length > 0);
        const jumping = readerOf(sizes, options);
        for (let i = 0; i < 8; i++) {
          const batch = picks.next().value % expected.length;
          expect(await jumping.read(batch)).toEqual(expected[batch]);
        }
        const resumed = readerOf(sizes, options);
        const from = picks.next().value % expected.length;
        expect(await Promise.all(expected.slice(from).map((_, i) => resumed.read(from + i)))).toEqual(expected.slice(from));
      }),
      { numRuns: 100 },
    );
  });

  it('keeps its order for ever: a resumed run depends on it', async () => {
    expect(await readAll(readerOf([5, 3, 4, 2, 2], { epochs: 1, batchSize: 4 }))).toEqual([5, 12, 6, 7, 13, 10, 3, 1, 11, 9, 0, 8, 4, 2, 14, 15]);
  });

  it('takes another order in another epoch and with another seed', async () => {
    const twice = await readAll(readerOf([20, 20, 20], { epochs: 2, batchSize: 10 }));
    expect(twice.slice(0, 60)).not.toEqual(twice.slice(60));
    expect(await readAll(readerOf([20, 20, 20], { seed: 2, batchSize: 10 }))).not.toEqual(twice.slice(0, 60));
  });

  it('mixes all shards of a group evenly into each batch', async () => {
    const reader = readerOf(new Array<number>(8).fill(1_000), { blockRows: 250, mixShards: 4, batchSize: 1_000 });
    for (let batch = 0; batch < reader.batches; batch++) {
      const counts = new Map<number, number>();
      for (const id of idsOf(await reader.read(batch))) counts.set(Math.floor(id / 1_000), (counts.get(Math.floor(id / 1_000)) ?? 0) + 1);
      expect(counts.size).toBe(4);
      for (const count of counts.values()) expect(Math.abs(count - 250)).toBeLessThan(60);
    }
  });

  it('mixes shards of different sizes from beginning to end', async () => {
    const sizes = [400, 100, 200, 400];
    const reader = readerOf(sizes, { blockRows: 10, mixShards: 4, batchSize: 110 });
    for (let batch = 0; batch < reader.batches; batch++) {
      const counts = sizes.map(() => 0);
      for (const { shard } of reader.sources(batch)) counts[shard]!++;
      counts.forEach((count, shard) => expect(Math.abs(count - sizes[shard]! / 10)).toBeLessThanOrEqual(20));
    }
  });

  it('loads each block once an epoch, the next pool ahead of its use, and no other', async () => {
    const loads: string[] = [];
    const sizes = new Array<number>(6).fill(16);
    const reader = readerOf(sizes, { shards: shardsOf(sizes, (shard, block) => loads.push(`${shard}/${block}`)), epochs: 3, mixShards: 2, batchSize: 4 });
    await reader.read(0);
    expect(loads).toHaveLength(4);
    for (let batch = 1; batch < 4; batch++) await reader.read(batch);
    expect(loads).toHaveLength(4);
    await reader.read(4);
    expect(loads).toHaveLength(6);
    for (let batch = 5; batch < reader.batches; batch++) await reader.read(batch);
    expect(new Set(loads).size).toBe(12);
    // Where two epochs meet, the next pool may have a block of the one being read.
    for (const block of new Set(loads)) expect([2, 3]).toContain(loads.filter((loaded) => loaded === block).length);
  });

  it('keeps the blocks of a corpus that fits one pool, over all epochs', async () => {
    const loads: number[] = [];
    await readAll(readerOf([5, 5], { shards: shardsOf([5, 5], (shard) => loads.push(shard)), epochs: 20, mixShards: 4 }));
    expect(loads).toHaveLength(2);
  });

  it('reads the same into memory of blocks read before, in any order, at once and after failures, and changes no batch it gave', async () => {
    let reused = 0;
    await fc.assert(
      fc.asyncProperty(arbitrary.sizes, arbitrary.options, fc.infiniteStream(fc.nat()), async (sizes, options, picks) => {
        const expected = await batchesOf(readerOf(sizes, options));
        fc.pre(expected.length > 0);
        const { shards, counts } = reusing(shardsOf(sizes, undefined, options.blockRows), options.blockRows, () => picks.next().value % 20 === 0);
        const reader = readerOf(sizes, { ...options, shards });
        const given: [batch: number, vectors: Float32Array][] = [];
        const read = async (batch: number, target?: Float32Array) => {
          // The disk fails now and then; whoever asks again gets what is right.
          for (;;) {
            const vectors = await reader.read(batch, 1, target).catch(() => undefined);
            if (vectors !== undefined) return void given.push([batch, vectors]);
          }
        };
        for (let batch = 0; batch < expected.length; batch++) await read(batch);
        // Into two arrays of the caller's in turn: each holds its batch until it is given back.
        const targets = [0, 1].map(() => new Float32Array(options.batchSize * d));
        for (let batch = 0; batch < expected.length; batch++) {
          await read(batch, targets[batch % 2]);
          expect(given.pop()![1]).toBe(targets[batch % 2]);
          if (batch > 0) expect(targets[(batch - 1) % 2]).toEqual(expected[batch - 1]);
        }
        await Promise.all(Array.from({ length: 8 }, () => read(picks.next().value % expected.length)));
        for (const [batch, vectors] of given) expect(vectors).toEqual(expected[batch]);
        reused += counts.reused;
      }),
      { numRuns: 150 },
    );
    expect(reused).toBeGreaterThan(100);
  });

  it('scales as a product of float32 numbers rounds, from half precision too', async () => {
    const numbers = Float32Array.from({ length: 600 }, (_, i) => Math.fround(Math.sin(i) * 3));
    const scale = 1.2345678901234567;
    for (const vectors of [numbers, toFloat16(numbers)]) {
      const expected = (vectors instanceof Uint16Array ? fromFloat16(vectors) : vectors).map((value) => value * scale);
      const shards = [{ rows: 300, read: () => Promise.resolve({ vectors, documents: new Int32Array(300) }) }];
      const reader = readerOf([], { shards, blockRows: 300, batchSize: 300 });
      const [scaled, plain, again] = [await reader.read(0, scale), await reader.read(0), await reader.read(0, scale)];
      reader.sources(0).forEach(({ row }, index) => expect([...scaled.subarray(2 * index, 2 * index + 2)]).toEqual([...expected.subarray(2 * row, 2 * row + 2)]));
      expect(again).toEqual(scaled);
      expect(plain).not.toEqual(scaled);
    }
  });

  it('draws batches from nearly as many documents as vectors drawn from everywhere would be', async () => {
    // As sampling leaves them: 40 shards of 64 prompts, 32 positions of each, rows in random order.
    const [shards, prompts, positions] = [40, 64, 32];
    const rows = prompts * positions;
    const files = Array.from({ length: shards }, (_, shard) => {
      const order = new RandomStream(1, 'rows', shard).permutation(rows);
      const documents = Int32Array.from(order, (row) => shard * prompts + Math.floor(row / positions));
      return { rows, read: (block: number) => Promise.resolve({ vectors: new Float32Array(256), documents: documents.subarray(block * 256, (block + 1) * 256) }) };
    });
    const batchSize = 256;
    const ideal = expectedDocuments(new Array<number>(shards * prompts).fill(positions), shards * rows, batchSize);
    const reached = async (mixShards: number) => {
      const reader = new ShuffledReader({ shards: files, blockRows: 256, d: 1, batchSize, mixShards, seed: 1, epochs: 1 });
      let documents = 0;
      for (let batch = 0; batch < reader.batches; batch++) {
        await reader.read(batch);
        documents += reader.distinctDocuments(batch)!;
      }
      return documents / reader.batches / ideal;
    };
    // All shards at once are as good as anything; eight of them give what their 512 documents can.
    expect(Math.abs((await reached(40)) - 1)).toBeLessThan(0.01);
    const ofEight = expectedDocuments(new Array<number>(8 * prompts).fill(positions), 8 * rows, batchSize) / ideal;
    expect(Math.abs((await reached(8)) - ofEight)).toBeLessThan(0.01);
    expect(ofEight).toBeGreaterThan(0.8);
  });

  it('reports a failed load to the read that needs it, and loads anew at the next', async () => {
    let failures = 2;
    const shards = shardsOf([8, 8, 8, 8], () => {
      if (failures-- > 0) throw new Error('the disk went away');
    });
    const reader = readerOf([], { shards, mixShards: 2 });
    await expect(reader.read(0)).rejects.toThrow('the disk went away');
    await new Promise((done) => setImmediate(done));
    failures = 0;
    expect(await reader.read(0)).toEqual(await readerOf([8, 8, 8, 8], { mixShards: 2 }).read(0));
  });

  it('says which shard is not of the size its manifest names', async () => {
    const shards = [{ rows: 8, read: () => Promise.resolve({ vectors: new Float32Array(15), documents: new Int32Array(8) }) }];
    const reader = readerOf([], { shards });
    await expect(reader.read(0)).rejects.toThrow(UserError);
    await expect(reader.read(0)).rejects.toThrow(/shard 0 .* holds 15 numbers of 8 documents in block 0, 16 of 8 were expected/);
  });

  it('refuses options and batches that make no sense', async () => {
    for (const wrong of [{ batchSize: 0 }, { mixShards: 0 }, { epochs: 0.5 }, { d: -1 }]) expect(() => readerOf([4], wrong)).toThrow(RangeError);
    expect(() => readerOf([], { shards: [{ rows: -1, read: () => Promise.reject(new Error('not read')) }] })).toThrow(RangeError);
    for (const batch of [-1, 1, 0.5, Number.NaN]) await expect(readerOf([4]).read(batch)).rejects.toThrow(RangeError);
    await expect(readerOf([]).read(0)).rejects.toThrow(RangeError);
  });
});
