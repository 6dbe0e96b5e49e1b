import { describe, expect, it } from 'vitest';
import { saeInputs, thresholdsFor, upperTail } from '../../bench/saeInputs.ts';

const [d, features, vectors] = [32, 128, 2_048];

/** Mean number of active features, the plain way. */
function measuredL0({ W_enc, b_enc, x }: ReturnType<typeof saeInputs>): number {
  const weights = W_enc!.data as Float32Array;
  const bias = b_enc!.data as Float32Array;
  const data = x!.data as Float32Array;
  let active = 0;
  for (let row = 0; row < vectors; row++) {
    for (let feature = 0; feature < features; feature++) {
      let pre = bias[feature]!;
      for (let column = 0; column < d; column++) pre += data[row * d + column]! * weights[column * features + feature]!;
      if (pre > 0) active++;
    }
  }
  return active / vectors;
}

describe("the SAE bench's inputs", () => {
  it.each([2, 10, features / 2])('have the L0 asked for: %d', (l0) => {
    const measured = measuredL0(saeInputs(d, features, vectors, 1, l0));
    expect(Math.abs(measured - l0)).toBeLessThan(0.05 * l0);
  });

  it('have decoder rows of unit norm', () => {
    const decoder = saeInputs(d, features, 1, 1, 2)['W_dec']!.data as Float32Array;
    for (let row = 0; row < features; row++) expect(Math.hypot(...decoder.subarray(row * d, (row + 1) * d))).toBeCloseTo(1, 6);
  });
});

it('the upper tail of a standard normal is as tables have it', () => {
  expect(upperTail(0)).toBeCloseTo(0.5, 6);
  expect(upperTail(1.959964)).toBeCloseTo(0.025, 6);
  expect(upperTail(-1.281552)).toBeCloseTo(0.9, 6);
});

it('thresholds keep the spread of their offsets and add up to the L0', () => {
  const thresholds = thresholdsFor(Float32Array.of(-0.5, 0, 0.5), 1);
  expect(thresholds[2]! - thresholds[0]!).toBeCloseTo(1, 6);
  expect(thresholds.reduce((sum, threshold) => sum + upperTail(threshold), 0)).toBeCloseTo(1, 6);
});
