import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { deadFeatures, drawByLoss, resample } from '../../model/resampling.ts';
import type { SaeArrays } from '../../model/sae.ts';
import { RandomStream } from '../../schemas/random.ts';

const matrix = z.array(z.array(z.number()));
const arrays = z.object({ W_enc: matrix, b_enc: z.array(z.number()), W_dec: matrix, b_dec: z.array(z.number()) });
const states = z.object({ param: arrays, 'adam.m': arrays, 'adam.v': arrays });
const record = z.object({ feature: z.int(), sourceRow: z.int(), encoderNormBefore: z.number(), encoderNormAfter: z.number() });
const after = states.extend({ records: z.array(record) });
const oracle = z
  .object({
    encoderNormScale: z.number(),
    dead: z.array(z.int()),
    uniforms: z.array(z.number()),
    losses: z.array(z.number()),
    candidates: matrix,
    moreDraws: z.array(z.object({ uniforms: z.array(z.number()), sourceRows: z.array(z.int()) })),
    before: states,
    after: z.object({ centred: after, raw: after }),
  })
  .parse(JSON.parse(readFileSync(new URL('../oracle/resampling.json', import.meta.url), 'utf8')));

const flat = (value: z.infer<typeof arrays>): SaeArrays => ({
  W_enc: Float32Array.from(value.W_enc.flat()),
  b_enc: Float32Array.from(value.b_enc),
  W_dec: Float32Array.from(value.W_dec.flat()),
  b_dec: Float32Array.from(value.b_dec),
});

describe.each(['centred', 'raw'] as const)('resampling with direction %s', (direction) => {
  it('equals the record worked by hand: weights, exactly the modified moments, norms before and after', () => {
    const weights = flat(oracle.before.param);
    const moments = { m: flat(oracle.before['adam.m']), v: flat(oracle.before['adam.v']) };
    const draws = drawByLoss(Float32Array.from(oracle.losses), oracle.uniforms);
    const replaced = resample(weights, moments, oracle.dead, Float32Array.from(oracle.candidates.flat()), draws, { direction, encoderNormScale: oracle.encoderNormScale });
    const expected = oracle.after[direction];
    for (const [actual, wanted] of [[weights, flat(expected.param)], [moments.m, flat(expected['adam.m'])], [moments.v, flat(expected['adam.v'])]] as const) {
      for (const name of ['W_enc', 'b_enc', 'W_dec', 'b_dec'] as const) actual[name].forEach((value, index) => expect(value, `${name}[${index}]`).toBeCloseTo(wanted[name][index]!, 6));
    }
    expect(replaced.map(({ feature, candidate }) => ({ feature, sourceRow: candidate }))).toEqual(expected.records.map(({ feature, sourceRow }) => ({ feature, sourceRow })));
    replaced.forEach((one, index) => {
      expect(one.encoderNormBefore).toBeCloseTo(expected.records[index]!.encoderNormBefore, 6);
      expect(one.encoderNormAfter).toBeCloseTo(expected.records[index]!.encoderNormAfter, 6);
    });
  });
});

describe('drawing by loss²', () => {
  it.each(oracle.moreDraws)('uniforms $uniforms choose rows $sourceRows', ({ uniforms, sourceRows }) => {
    expect(drawByLoss(Float32Array.from(oracle.losses), uniforms)).toEqual(sourceRows);
  });

  it('follows p ∝ loss²: chi-square of 20,000 first draws over ten candidates below its 99.9 % point', () => {
    const losses = Float32Array.from([1, 2, 3, 0.5, 1.5, 2.5, 1, 0.25, 2, 3.5]);
    const stream = new RandomStream(11, 'test');
    const counts = new Array<number>(losses.length).fill(0);
    for (let trial = 0; trial < 20_000; trial++) counts[drawByLoss(losses, [stream.uniform()])[0]!]!++;
    const total = losses.reduce((sum, loss) => sum + loss * loss, 0);
    const chiSquare = counts.reduce((sum, count, row) => {
      const expected = (20_000 * losses[row]! ** 2) / total;
      return sum + (count - expected) ** 2 / expected;
    }, 0);
    expect(chiSquare).toBeLessThan(27.88); // 9 degrees of freedom
  });

  it('without replacement, follows p ∝ loss² among those left: chi-square of 30,000 ordered pairs below its 99.9 % point', () => {
    const losses = Float32Array.from([1, 2, 3, 0.5, 1.5, 2.5]);
    const weights = Array.from(losses, (loss) => loss * loss);
    const total = weights.reduce((a, b) => a + b, 0);
    const trials = 30_000;
    const stream = new RandomStream(12, 'test');
    const counts = new Map<string, number>();
    for (let trial = 0; trial < trials; trial++) {
      const pair = drawByLoss(losses, [stream.uniform(), stream.uniform()]).join();
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    const second = new Array<number>(6).fill(0);
    let pairs = 0;
    weights.forEach((first, i) =>
      weights.forEach((other, j) => {
        if (i === j) return;
        const expected = (trials * first * other) / total / (total - first);
        const count = counts.get(`${i},${j}`) ?? 0;
        pairs += (count - expected) ** 2 / expected;
        second[j]! += count;
        counts.delete(`${i},${j}`);
      }),
    );
    expect(counts.size).toBe(0);
    expect(pairs).toBeLessThan(58.3); // 29 degrees of freedom
    // the second draw alone: Σᵢ pᵢ·pⱼ/(1 − pᵢ), which is not pⱼ
    const chance = (j: number) => weights.reduce((sum, first, i) => sum + (i === j ? 0 : (first * weights[j]!) / total / (total - first)), 0);
    const chiSquare = (expected: (j: number) => number) => second.reduce((sum, count, j) => sum + (count - trials * expected(j)) ** 2 / (trials * expected(j)), 0);
    expect(chiSquare(chance)).toBeLessThan(20.52); // 5 degrees of freedom
    expect(chiSquare((j) => weights[j]! / total)).toBeGreaterThan(20.52);
  });

  it('never draws one twice nor one without loss, and stops when none is left', () => {
    const losses = Float32Array.from([0, 1, 0, 2, 3, 0]);
    const drawn = drawByLoss(losses, [0.999999, 0, 0.5, 0.5, 0.5]);
    expect(drawn.toSorted()).toEqual([1, 3, 4]);
  });
});

it('a feature is dead when it did not fire within the window before a resampling', () => {
  // steps 90 to 99 are the ten before step 100
  expect(deadFeatures(Int32Array.from([99, 90, 89, -1, 0]), 100, 10)).toEqual([2, 3, 4]);
});

it('with nothing alive, replaced encoder columns take the scale itself as norm', () => {
  const weights: SaeArrays = { W_enc: new Float32Array(4), b_enc: new Float32Array(2), W_dec: new Float32Array(4), b_dec: new Float32Array(2) };
  const zeros = () => ({ W_enc: new Float32Array(4), b_enc: new Float32Array(2), W_dec: new Float32Array(4), b_dec: new Float32Array(2) });
  resample(weights, { m: zeros(), v: zeros() }, [0, 1], Float32Array.from([3, 4, 0, 2]), [0, 1], { direction: 'centred', encoderNormScale: 0.2 });
  expect(Array.from(weights.W_enc)).toEqual([0.12, 0, 0.16, 0.2].map(Math.fround));
  expect(Array.from(weights.W_dec)).toEqual([0.6, 0.8, 0, 1].map(Math.fround));
});
