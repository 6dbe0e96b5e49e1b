import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { geometricMedian, unitMeanSquareScale } from '../../model/geometricMedian.ts';
import { RandomStream } from '../../schemas/random.ts';

const oracle = z
  .object({ cases: z.array(z.object({ name: z.string(), why: z.string(), points: z.array(z.array(z.number())), median: z.array(z.number()), totalDistance: z.number() })) })
  .parse(JSON.parse(readFileSync(new URL('../oracle/geometricMedian.json', import.meta.url), 'utf8')));

/** What the geometric median makes as small as can be. */
const distances = (points: number[][], from: Float64Array) => points.reduce((sum, point) => sum + Math.hypot(...point.map((value, column) => value - from[column]!)), 0);

describe('geometric median', () => {
  it.each(oracle.cases)('of $name equals the reference to 1e-5 ($why)', ({ points, median }) => {
    const d = median.length;
    const found = geometricMedian(Float32Array.from(points.flat()), d, 1e-10, 10_000);
    expect(found.converged).toBe(true);
    found.median.forEach((value, column) => expect(value).toBeCloseTo(median[column]!, 5));
  });

  it.each(oracle.cases)('of $name at the settings a run uses lies within 1e-4 of the mean distance from the minimum', ({ points, median, totalDistance }) => {
    const d = median.length;
    const found = geometricMedian(Float32Array.from(points.flat()), d);
    expect(found.converged).toBe(true);
    const meanDistance = totalDistance / points.length;
    expect(Math.hypot(...found.median.map((value, column) => value - median[column]!))).toBeLessThanOrEqual(1e-4 * meanDistance);
    expect(distances(points, found.median)).toBeLessThanOrEqual(totalDistance * (1 + 1e-8) + 1e-12);
  });

  it('every iteration comes nearer, and the number reported is the first that met the test', () => {
    const { points, median } = oracle.cases[0]!;
    const flat = Float32Array.from(points.flat());
    const { iterations } = geometricMedian(flat, median.length);
    let before = Infinity;
    for (let allowed = 1; allowed <= iterations; allowed++) {
      const found = geometricMedian(flat, median.length, 1e-6, allowed);
      expect(found.converged).toBe(allowed === iterations);
      const total = distances(points, found.median);
      expect(total).toBeLessThan(before);
      before = total;
    }
    expect(iterations).toBeGreaterThan(3);
  });

  it('at the width of real activations the pull of all points on it is nothing beside their number', () => {
    const [n, d] = [400, 512];
    const stream = new RandomStream(9, 'median');
    // not negative, mostly near 0, and of very different lengths: as after a nonlinearity
    const rows = Array.from({ length: n }, () => {
      const length = Math.exp(stream.normal());
      return Array.from({ length: d }, () => Math.max(-0.17, length * stream.normal()));
    });
    const { median, converged } = geometricMedian(Float32Array.from(rows.flat()), d);
    expect(converged).toBe(true);
    const pull = new Float64Array(d);
    for (const row of rows) {
      const distance = Math.hypot(...row.map((value, column) => value - median[column]!));
      row.forEach((value, column) => (pull[column]! += (value - median[column]!) / distance));
    }
    expect(Math.hypot(...pull) / n).toBeLessThan(1e-5);
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
