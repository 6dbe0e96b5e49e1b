import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { geometricMedian, unitMeanSquareScale } from '../../model/geometricMedian.ts';

const oracle = z
  .object({ cases: z.array(z.object({ name: z.string(), why: z.string(), points: z.array(z.array(z.number())), median: z.array(z.number()) })) })
  .parse(JSON.parse(readFileSync(new URL('../oracle/geometricMedian.json', import.meta.url), 'utf8')));

describe('geometric median', () => {
  it.each(oracle.cases)('of $name equals the reference to 1e-5 ($why)', ({ points, median }) => {
    const d = median.length;
    const found = geometricMedian(Float32Array.from(points.flat()), d, 1e-10, 10_000);
    expect(found.converged).toBe(true);
    found.median.forEach((value, column) => expect(value).toBeCloseTo(median[column]!, 5));
  });

  it('says so when it did not converge', () => {
    const { points, median } = oracle.cases[0]!;
    expect(geometricMedian(Float32Array.from(points.flat()), median.length, 1e-12, 2)).toMatchObject({ converged: false, iterations: 2 });
  });
});

it('the unit-mean-square scale makes the mean squared norm equal to the dimension', () => {
  const points = Float32Array.from([3, 4, 0, 0, 0, 5]);
  const scale = unitMeanSquareScale(points);
  expect(points.reduce((sum, value) => sum + (scale * value) ** 2, 0) / 3).toBeCloseTo(2, 5);
  expect(unitMeanSquareScale(new Float32Array(4))).toBe(1);
});
