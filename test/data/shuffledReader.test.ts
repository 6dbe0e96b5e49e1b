import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShuffledReader, type LoadableShard, type ShuffledReaderOptions } from '../../data/shuffledReader.ts';
import { UserError } from '../../schemas/errors.ts';

const d = 2;

/** Shards whose rows are [id, -id] with ids counted through all of them. */
function shardsOf(sizes: number[], onLoad: (shard: number) => void = () => undefined): LoadableShard[] {
  let next = 0;
  return sizes.map((rows, shard) => {
    const first = next;
    next += rows;
    return {
      rows,
      load: async () => {
        onLoad(shard);
        await new Promise((done) => setImmediate(done));
        return Float32Array.from({ length: rows * d }, (_, i) => (i % d === 0 ? 1 : -1) * (first + Math.floor(i / d)));
      },
    };
  });
}

function readerOf(sizes: number[], options: Partial<ShuffledReaderOptions> = {}): ShuffledReader {
  return new ShuffledReader({ shards: shardsOf(sizes), d, batchSize: 4, mixShards: 2, seed: 1, epochs: 1, ...options });
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

const arbitrary = {
  sizes: fc.array(fc.integer({ min: 0, max: 30 }), { maxLength: 9 }),
  options: fc.record({ batchSize: fc.integer({ min: 1, max: 40 }), mixShards: fc.integer({ min: 1, max: 12 }), seed: fc.nat(), epochs: fc.integer({ min: 1, max: 4 }) }),
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
        const asked = readerOf(sizes, { ...options, shards: shardsOf(sizes, () => expect.unreachable()) });
        const reader = readerOf(sizes, options);
        for (let batch = 0; batch < reader.batches; batch++) {
          const ids = asked.sources(batch).map(({ shard, row }) => firstOf(shard) + row);
          expect(ids).toEqual(idsOf(await reader.read(batch)));
          expect(reader.sources(batch)).toEqual(asked.sources(batch));
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
    expect(await readAll(readerOf([5, 3, 4, 2, 2], { epochs: 1, batchSize: 4 }))).toEqual([12, 6, 13, 5, 7, 10, 3, 1, 11, 9, 0, 8, 4, 2, 14, 15]);
  });

  it('takes another order in another epoch and with another seed', async () => {
    const twice = await readAll(readerOf([20, 20, 20], { epochs: 2, batchSize: 10 }));
    expect(twice.slice(0, 60)).not.toEqual(twice.slice(60));
    expect(await readAll(readerOf([20, 20, 20], { seed: 2, batchSize: 10 }))).not.toEqual(twice.slice(0, 60));
  });

  it('mixes all shards of a group evenly into each batch', async () => {
    const reader = readerOf(new Array<number>(8).fill(1_000), { mixShards: 4, batchSize: 1_000 });
    for (let batch = 0; batch < reader.batches; batch++) {
      const counts = new Map<number, number>();
      for (const id of idsOf(await reader.read(batch))) counts.set(Math.floor(id / 1_000), (counts.get(Math.floor(id / 1_000)) ?? 0) + 1);
      expect(counts.size).toBe(4);
      for (const count of counts.values()) expect(Math.abs(count - 250)).toBeLessThan(60);
    }
  });

  it('loads each shard once an epoch, the next group ahead of its use, and no other', async () => {
    const loads: number[] = [];
    const reader = readerOf(new Array<number>(6).fill(8), { shards: shardsOf(new Array<number>(6).fill(8), (shard) => loads.push(shard)), epochs: 3, mixShards: 2 });
    await reader.read(0);
    await eventually(() => loads.length === 4);
    await reader.read(1);
    await reader.read(3);
    expect(loads).toHaveLength(4);
    await reader.read(4);
    await eventually(() => loads.length === 6);
    for (let batch = 5; batch < reader.batches; batch++) await reader.read(batch);
    for (let shard = 0; shard < 6; shard++) expect(loads.filter((loaded) => loaded === shard).length).toBeLessThanOrEqual(3);
  });

  it('keeps the shards of a corpus that fits one group, over all epochs', async () => {
    const loads: number[] = [];
    await readAll(readerOf([5, 5], { shards: shardsOf([5, 5], (shard) => loads.push(shard)), epochs: 20, mixShards: 4 }));
    expect(loads).toHaveLength(2);
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
    const shards = [{ rows: 8, load: () => Promise.resolve(new Float32Array(15)) }];
    const reader = readerOf([], { shards });
    await expect(reader.read(0)).rejects.toThrow(UserError);
    await expect(reader.read(0)).rejects.toThrow(/shard 0 .* holds 15 numbers, 16 were expected/);
  });

  it('refuses options and batches that make no sense', async () => {
    for (const wrong of [{ batchSize: 0 }, { mixShards: 0 }, { epochs: 0.5 }, { d: -1 }]) expect(() => readerOf([4], wrong)).toThrow(RangeError);
    expect(() => readerOf([], { shards: [{ rows: -1, load: () => Promise.resolve(new Float32Array(0)) }] })).toThrow(RangeError);
    for (const batch of [-1, 1, 0.5, Number.NaN]) await expect(readerOf([4]).read(batch)).rejects.toThrow(RangeError);
    await expect(readerOf([]).read(0)).rejects.toThrow(RangeError);
  });
});

/** Lets what is under way go on until `holds`; vitest's time limit ends a wait in vain. */
async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((done) => setImmediate(done));
}
