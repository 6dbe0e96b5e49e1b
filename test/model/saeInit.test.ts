// Distributions of an SAE's initial weights: as PyTorch's nn.Linear draws them (uniform within ±1/√fan-in), decoder
// directions those of uniform rows. Kolmogorov–Smirnov at the 0.1 % level; streams are seeded, so a test gives one answer.
import { describe, expect, it } from 'vitest';
import { initialSae } from '../../model/sae.ts';

const [d, features] = [96, 320];
const weights = initialSae(d, features, 7);

/** √n times the largest distance between the sample's distribution and the given one. Above 1.95 with p = 0.001. */
function kolmogorovSmirnov(sample: ArrayLike<number>, cumulative: (value: number) => number): number {
  const sorted = Float64Array.from(sample).sort();
  let distance = 0;
  sorted.forEach((value, index) => {
    const expected = cumulative(value);
    distance = Math.max(distance, expected - index / sorted.length, (index + 1) / sorted.length - expected);
  });
  return distance * Math.sqrt(sorted.length);
}
const critical = 1.95;
const uniformIn = (bound: number) => (value: number) => Math.min(1, Math.max(0, (value + bound) / (2 * bound)));

describe('initial weights', () => {
  it.each([
    { name: 'W_enc', bound: 1 / Math.sqrt(d) },
    { name: 'b_enc', bound: 1 / Math.sqrt(d) },
    { name: 'b_dec', bound: 1 / Math.sqrt(features) },
  ] as const)('$name is uniform within ±$bound', ({ name, bound }) => {
    expect(kolmogorovSmirnov(weights[name], uniformIn(bound))).toBeLessThan(critical);
    // the test tells a bound that is 10 % off from the right one where there are enough draws to
    if (name === 'W_enc') expect(kolmogorovSmirnov(weights[name], uniformIn(1.1 * bound))).toBeGreaterThan(critical);
  });

  it('decoder rows have unit norm and the directions of uniform rows', () => {
    const ratios: number[] = [];
    for (let row = 0; row < features; row++) {
      const direction = weights.W_dec.subarray(row * d, (row + 1) * d);
      expect(Math.hypot(...direction)).toBeCloseTo(1, 6);
      for (let column = 0; column + 1 < d; column += 2) ratios.push(direction[column]! / direction[column + 1]!);
    }
    // the quotient of two numbers uniform in ±b has density 1/4 within ±1 and 1/(4r²) outside: the norm cancels
    const quotient = (ratio: number) => (ratio < -1 ? -1 / (4 * ratio) : ratio <= 1 ? 0.5 + ratio / 4 : 1 - 1 / (4 * ratio));
    expect(kolmogorovSmirnov(ratios, quotient)).toBeLessThan(critical);
    const normals = (ratio: number) => 0.5 + Math.atan(ratio) / Math.PI;
    expect(kolmogorovSmirnov(ratios, normals)).toBeGreaterThan(critical);
  });

  it('are drawn anew for each seed and each parameter', () => {
    const other = initialSae(d, features, 8);
    expect(Math.abs(correlation(weights.W_enc, other.W_enc))).toBeLessThan(3.3 / Math.sqrt(d * features));
    expect(Math.abs(correlation(weights.W_dec, other.W_dec))).toBeLessThan(3.3 / Math.sqrt(d * features));
    // laid out alike, so that tied or shared draws would show
    expect(Math.abs(correlation(weights.W_enc, weights.W_dec))).toBeLessThan(3.3 / Math.sqrt(d * features));
    expect(Math.abs(correlation(weights.W_enc.subarray(0, features), weights.b_enc))).toBeLessThan(3.3 / Math.sqrt(features));
  });
});

function correlation(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) => x.reduce((sum, value, index) => sum + value * y[index]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
