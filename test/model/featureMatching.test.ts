// Matching of features by decoder direction: a case worked by hand, what must hold for any two SAEs, and blocks that make
// no difference.
import * as fc from 'fast-check';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { matchFeatures, type FeatureMatch, type FeatureSet } from '../../model/featureMatching.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';

beforeAll(async () => {
  await loadBackend({ threads: 1 });
});

function setOf(rows: readonly (readonly number[])[], features = [...rows.keys()]): FeatureSet {
  return { decoder: Float32Array.from(rows.flat()), d: rows[0]!.length, features };
}

/** n random directions of d components. */
function directions(n: number, d: number, seed: number): number[][] {
  const stream = new RandomStream(seed, 'test', 'directions');
  return Array.from({ length: n }, () => Array.from({ length: d }, () => stream.normal()));
}

const pairs = (matches: readonly FeatureMatch[]) => matches.map(({ before, after }) => [before, after]);

describe('matchFeatures', () => {
  it('gives the matches worked out by hand: nearest to each other, at any length, above the threshold', async () => {
    const before = setOf([
      [1, 0, 0],
      [0, 2, 0],
      [0, 0, 1],
      [-1, 0, 0],
    ]);
    const after = setOf([
      [0, 3, 4], // cosine 0.8 with before 2, 0.6 with before 1, and before 2 has none nearer
      [5, 0, 0], // before 0, cosine 1
      [4, 3, 0], // cosine 0.8 with before 0, which has a nearer one; 0.6 with before 1
      [0, 0, 0], // no direction
    ]);
    const matches = await matchFeatures(before, after, { threshold: 0.7 });
    expect(pairs(matches)).toEqual([
      [2, 0],
      [0, 1],
    ]);
    expect(matches[0]!.cosine).toBeCloseTo(0.8, 6);
    expect(matches[1]!.cosine).toBeCloseTo(1, 6);
    expect(pairs(await matchFeatures(before, after, { threshold: 0.9 }))).toEqual([[0, 1]]);
  });

  it('leaves out what is not to be matched, and names features by their own numbers', async () => {
    const rows = [
      [1, 0],
      [0, 1],
      [-1, 0],
    ];
    expect(pairs(await matchFeatures(setOf(rows, [1, 2]), setOf(rows, [0, 1]), { threshold: 0.7 }))).toEqual([[1, 1]]);
    expect(await matchFeatures(setOf(rows, []), setOf(rows), { threshold: 0.7 })).toEqual([]);
    expect(await matchFeatures(setOf(rows), setOf(rows, []), { threshold: 0.7 })).toEqual([]);
  });

  it('takes the first of two that are equally near, on either side', async () => {
    const [one, two] = [[[1, 0], [0, 1]], [[0, 1], [1, 0], [1, 0]]];
    expect(pairs(await matchFeatures(setOf(one), setOf(two), { threshold: 0.7 }))).toEqual([[1, 0], [0, 1]]);
    expect(pairs(await matchFeatures(setOf(two), setOf(one), { threshold: 0.7 }))).toEqual([[1, 0], [0, 1]]);
  });

  it('refuses decoders of different widths', async () => {
    await expect(matchFeatures(setOf([[1, 0]]), setOf([[1, 0, 0]]), { threshold: 0.7 })).rejects.toThrow('decoders of 2 and 3 components');
  });

  it('keeps every feature of an SAE whose features were only permuted and scaled', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 8, max: 40 }), fc.nat(1_000), async (n, d, seed) => {
        const rows = directions(n, d, seed);
        const order = [...rows.keys()].sort((a, b) => ((a * 7 + seed) % n) - ((b * 7 + seed) % n) || a - b);
        const matches = await matchFeatures(setOf(rows), setOf(order.map((from) => rows[from]!.map((value) => value * (1 + from)))), { threshold: 0.7 });
        expect(pairs(matches)).toEqual(order.map((from, to) => [from, to]));
      }),
      { numRuns: 25 },
    );
  });

  it('is one-to-one, and the same from either side', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), fc.integer({ min: 2, max: 6 }), fc.nat(1_000), async (n, m, d, seed) => {
        const [one, other] = [setOf(directions(n, d, seed)), setOf(directions(m, d, seed + 1))];
        const matches = pairs(await matchFeatures(one, other, { threshold: 0.5 }));
        expect(new Set(matches.map(([before]) => before)).size).toBe(matches.length);
        expect(new Set(matches.map(([, after]) => after)).size).toBe(matches.length);
        const reversed = pairs(await matchFeatures(other, one, { threshold: 0.5 }));
        expect(reversed.map(([before, after]) => [after, before]).sort()).toEqual(matches.sort());
      }),
      { numRuns: 25 },
    );
  });

  it('finds a match in whatever block it lies, says how far it is, and leaves no tensors behind', async () => {
    const [n, d] = [9_000, 12];
    const rows = directions(n, d, 3);
    const reversed = [...rows].reverse();
    const tensors = tf.memory().numTensors;
    const done: number[] = [];
    const matches = await matchFeatures(setOf(rows), setOf(reversed), { threshold: 0.999, onProgress: async (rowsDone) => void done.push(rowsDone) });
    expect(matches.length).toBe(n);
    expect(matches.every(({ before, after }) => before === n - 1 - after)).toBe(true);
    expect(done).toEqual([2_048, 4_096, 6_144, 8_192, 9_000]);
    expect(tf.memory().numTensors).toBe(tensors);
  });
});
