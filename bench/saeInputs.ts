// Weights and data for benches of the SAE's step: an SAE whose L0 is as asked for, and stays so.
import { RandomStream } from '../schemas/random.ts';
import type { TensorInput } from '../data/safetensors.ts';

/**
 * Standard deviation of the features' thresholds, in units of their pre-activations': it spreads their densities over
 * about two decades, as trained SAEs have them; equal densities would be kinder to a kernel that shares features out.
 */
const thresholdSpread = 0.5;

/**
 * W_enc [d, F], b_enc, W_dec of unit rows, b_dec 0, and x [batches, n, d] of standard normals. A feature's
 * pre-activation is then normal with its encoder column's norm as deviation, so b_enc gives it a density exactly, and
 * the expected L0 is the sum of densities. L0 = F / 2 is b_enc 0: that of a training's first step.
 */
export function saeInputs(d: number, features: number, batch: number, batches: number, l0: number): Record<string, TensorInput> {
  const normals = (name: string, size: number, scale: number) => {
    const stream = new RandomStream(1, 'bench', 'sae', name);
    return Float32Array.from({ length: size }, () => scale * stream.normal());
  };
  const encoder = normals('W_enc', d * features, 1 / Math.sqrt(3 * d));
  const decoder = normals('W_dec', features * d, 1);
  for (let feature = 0; feature < features; feature++) {
    const row = decoder.subarray(feature * d, (feature + 1) * d);
    const norm = Math.hypot(...row);
    row.forEach((value, index) => (row[index] = value / norm));
  }
  const squares = new Float64Array(features);
  encoder.forEach((value, index) => (squares[index % features]! += value * value));
  const thresholds = thresholdsFor(normals('thresholds', features, l0 === features / 2 ? 0 : thresholdSpread), l0);
  return {
    W_enc: { shape: [d, features], data: encoder },
    b_enc: { shape: [features], data: Float32Array.from(thresholds, (threshold, feature) => -threshold * Math.sqrt(squares[feature]!)) },
    W_dec: { shape: [features, d], data: decoder },
    b_dec: { shape: [d], data: new Float32Array(d) },
    x: { shape: [batches, batch, d], data: normals('x', batches * batch * d, 1) },
  };
}

/** `offsets` plus the one number that makes the expected L0 of standard normal pre-activations `l0`, by bisection. */
export function thresholdsFor(offsets: Float32Array, l0: number): Float64Array {
  const expected = (shift: number) => offsets.reduce((sum, offset) => sum + upperTail(offset + shift), 0);
  let low = -8;
  let high = 8;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (expected(middle) > l0) low = middle;
    else high = middle;
  }
  return Float64Array.from(offsets, (offset) => offset + low);
}

/** P(z > t) of a standard normal z, to 1e-7 (Abramowitz and Stegun 26.2.17). */
export function upperTail(t: number): number {
  if (t < 0) return 1 - upperTail(-t);
  const k = 1 / (1 + 0.2316419 * t);
  const series = k * (0.31938153 + k * (-0.356563782 + k * (1.781477937 + k * (-1.821255978 + k * 1.330274429))));
  return (Math.exp(-0.5 * t * t) / Math.sqrt(2 * Math.PI)) * series;
}
