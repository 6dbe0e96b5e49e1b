// Which shards a job reads, held against what the shuffled reader really takes its rows from.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReadingPlan, type ReadingPlanOptions } from '../../data/readingPlan.ts';
import { ShuffledReader } from '../../data/shuffledReader.ts';
import type { Reading } from '../../schemas/supply.ts';

const arbitrary = fc.record({
  sizes: fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 14 }),
  blockRows: fc.integer({ min: 1, max: 12 }),
  mixShards: fc.integer({ min: 1, max: 6 }),
  seed: fc.nat(),
  batchSize: fc.integer({ min: 1, max: 40 }),
  epochs: fc.integer({ min: 1, max: 3 }),
  initVectors: fc.integer({ min: 1, max: 60 }),
  candidates: fc.integer({ min: 1, max: 60 }),
});

function setting(options: Omit<ReadingPlanOptions, 'resamplings'>, resamplings: number[] = []): { plan: ReadingPlan; shardsOf: (batch: number) => Set<number>; batches: number } {
  const read = () => Promise.reject(new Error('nothing is read here'));
  const reader = new ShuffledReader({ ...options, d: 1, shards: options.sizes.map((rows) => ({ rows, read })) });
  return { plan: new ReadingPlan({ ...options, resamplings }), shardsOf: (batch) => new Set(reader.sources(batch).map(({ shard }) => shard)), batches: reader.batches };
}

const covers = ({ need }: Reading, shards: Iterable<number>) => [...shards].every((shard) => need.includes(shard));

describe('ReadingPlan', () => {
  it('names every shard that the reader takes a row from, in segments that follow each other and end at the milestones', () => {
    fc.assert(
      fc.property(arbitrary, fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 4 }), (options, milestones) => {
        const { plan, shardsOf, batches } = setting(options);
        expect(plan.batches).toBe(batches);
        const ends = [...new Set([...milestones.filter((step) => step < batches), batches])].filter((step) => step > 0).sort((a, b) => a - b);
        let from = 0;
        let position = 0;
        for (const end of ends) {
          while (from < end) {
            const reading = plan.segment(from, end);
            expect(reading.from).toBe(from);
            expect(reading.stopAt).toBeGreaterThan(from);
            expect(reading.stopAt).toBeLessThanOrEqual(end);
            expect(reading.position).toBeGreaterThanOrEqual(position);
            position = reading.position;
            for (let step = from; step < reading.stopAt; step++) expect(covers(reading, shardsOf(step))).toBe(true);
            from = reading.stopAt;
          }
          expect(from).toBe(end);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('asks a segment for the groups that its first batch lies in, and no more', () => {
    fc.assert(
      fc.property(arbitrary, (options) => {
        const { plan, batches } = setting(options);
        const smallest = Math.min(...options.sizes);
        for (let from = 0; from < batches; from = plan.segment(from, batches).stopAt) {
          // a batch that ends a group and begins the next; one larger than a group lies in more of them
          const groups = Math.ceil((options.batchSize - 1) / smallest) + 1;
          expect(plan.segment(from, batches).need.length).toBeLessThanOrEqual(Math.min(options.sizes.length, options.mixShards * Math.max(2, groups)));
        }
      }),
    );
  });

  it('names the shards of the initial weights and of candidates of resamplings, from the start again at the end', () => {
    fc.assert(
      fc.property(arbitrary, fc.nat(), (options, at) => {
        const { plan, shardsOf, batches } = setting(options);
        if (batches === 0) return;
        for (let batch = 0; batch < Math.min(batches, Math.ceil(options.initVectors / options.batchSize)); batch++) expect(covers(plan.initialise(), shardsOf(batch))).toBe(true);
        const step = at % batches;
        const count = Math.min(batches, Math.ceil(options.candidates / options.batchSize));
        for (let index = 0; index < count; index++) expect(covers(plan.resample(step), shardsOf((step + index) % batches))).toBe(true);
      }),
    );
  });

  it('says what is read next, through the epochs, until nothing is', () => {
    const options = { sizes: [10, 10, 10, 10, 10, 10], blockRows: 5, mixShards: 2, seed: 7, batchSize: 10, epochs: 2, initVectors: 10, candidates: 10 };
    const { plan, batches } = setting(options);
    const readings = [...plan.all([batches])].slice(1);
    expect(readings.map(({ stopAt }) => stopAt)).toEqual([2, 4, 6, 8, 10, 12]);
    expect(readings.map(({ position }) => position)).toEqual([0, 2, 4, 6, 8, 10]);
    expect(readings.slice(0, -1).map(({ next }) => next.slice(0, 2))).toEqual(readings.slice(1).map(({ need }) => need));
    expect(readings.at(-1)!.next).toEqual([]);
    expect(plan.largestNeed([batches])).toBe(2);
  });
});
