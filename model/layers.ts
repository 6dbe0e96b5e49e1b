// The transformer's parts with their hand-written backward passes: LayerNorm, activation functions, causal attention.
// Written by hand because tape-based gradients keep every intermediate alive (2.4 GB against 1.0 for the same step).
// Matrices are [rows, columns] with rows = batch · position; weights are [out, in] as PyTorch's Linear keeps them.
import * as tf from '@tensorflow/tfjs-core';
import type { ArchitectureConfig } from '../schemas/config.ts';
import { matMul } from './kernels.ts';

const layerNormEpsilon = 1e-5;

/** y = x · Wᵀ (+ b). x [n, in], weight [out, in], bias [out] → [n, out]. */
export function linear(x: tf.Tensor2D, weight: tf.Tensor2D, bias?: tf.Tensor1D): tf.Tensor2D {
  const product = matMul(x, weight, false, true);
  return bias === undefined ? product : tf.add<tf.Tensor2D>(product, bias);
}

export interface LayerNormCache {
  /** (x − mean) / std, [n, d]. */
  normalised: tf.Tensor2D;
  /** 1 / std, [n, 1]. */
  inverseStd: tf.Tensor2D;
}

/** LayerNorm over the last axis. x [n, d], gain [d], bias [d] → [n, d]. */
export function layerNorm(x: tf.Tensor2D, gain: tf.Tensor1D, bias?: tf.Tensor1D): { y: tf.Tensor2D; cache: LayerNormCache } {
  const { y, normalised, inverseStd } = tf.tidy(() => {
    const centred = tf.sub<tf.Tensor2D>(x, tf.mean(x, -1, true));
    const inverseStd = tf.rsqrt(tf.add<tf.Tensor2D>(tf.mean(tf.square(centred), -1, true), layerNormEpsilon));
    const normalised = tf.mul<tf.Tensor2D>(centred, inverseStd);
    const scaled = tf.mul<tf.Tensor2D>(normalised, gain);
    return { y: bias === undefined ? scaled : tf.add<tf.Tensor2D>(scaled, bias), normalised, inverseStd };
  });
  return { y, cache: { normalised, inverseStd } };
}

/** Gradients of layerNorm: dy [n, d] → dx [n, d], dGain [d], dBias [d]. */
export function layerNormBackward(dy: tf.Tensor2D, cache: LayerNormCache, gain: tf.Tensor1D): { dx: tf.Tensor2D; dGain: tf.Tensor1D; dBias: tf.Tensor1D } {
  return tf.tidy(() => {
    const along = tf.mul<tf.Tensor2D>(dy, cache.normalised);
    const column = tf.div<tf.Tensor2D>(tf.reshape(gain, [-1, 1]), gain.size);
    const mean = matMul(dy, column);
    const meanAlong = matMul(along, column);
    const dx = tf.mul<tf.Tensor2D>(tf.sub(tf.sub(tf.mul(dy, gain), mean), tf.mul(cache.normalised, meanAlong)), cache.inverseStd);
    return { dx, dGain: tf.sum<tf.Tensor1D>(along, 0), dBias: tf.sum<tf.Tensor1D>(dy, 0) };
  });
}

/** The MLP's nonlinearity, elementwise. */
export function activate<T extends tf.Tensor>(kind: ArchitectureConfig['activation'], u: T): T {
  return kind === 'relu' ? tf.relu(u) : chain(gate(kind, u), (share) => tf.mul<T>(u, share));
}

/** d(activate)/du, elementwise: exact GELU Φ(u) + u φ(u); its tanh form; or the step of ReLU. */
export function activationSlope<T extends tf.Tensor>(kind: ArchitectureConfig['activation'], u: T): T {
  return tf.tidy(() => {
    if (kind === 'relu') return tf.cast<T>(tf.greater<T>(u, 0), 'float32');
    if (kind === 'gelu') {
      const density = chain(tf.square<T>(u), (square) => tf.mul<T>(square, -0.5), tf.exp<T>, (bell) => tf.mul<T>(bell, 1 / Math.sqrt(2 * Math.PI)));
      const along = chain(density, (height) => tf.mul<T>(u, height));
      return chain(along, (product) => chain(gate(kind, u), (share) => tf.add<T>(share, product)));
    }
    const tanh = tanhOfGelu(u);
    const inner = chain(tf.square<T>(u), (square) => tf.mul<T>(square, 3 * 0.044715), (cubic) => tf.add<T>(cubic, 1), (slope) => tf.mul<T>(slope, Math.sqrt(2 / Math.PI)));
    const steep = chain(tf.square<T>(tanh), (square) => tf.sub<T>(1, square), (rest) => chain(tf.mul<T>(u, 0.5), (half) => tf.mul<T>(half, rest)), (product) => tf.mul<T>(product, inner));
    inner.dispose();
    return chain(steep, (bend) => chain(tf.add<T>(tanh, 1), (shifted) => tf.mul<T>(shifted, 0.5), (share) => tf.add<T>(share, bend)));
  });
}

function gate<T extends tf.Tensor>(kind: 'gelu' | 'gelu-tanh', u: T): T {
  const odd = kind === 'gelu' ? chain(tf.mul<T>(u, Math.SQRT1_2), tf.erf<T>) : tanhOfGelu(u);
  return chain(odd, (value) => tf.add<T>(value, 1), (value) => tf.mul<T>(value, 0.5));
}

function tanhOfGelu<T extends tf.Tensor>(u: T): T {
  return chain(tf.square<T>(u), (square) => tf.mul<T>(square, 0.044715), (cubic) => tf.add<T>(cubic, 1), (factor) => tf.mul<T>(factor, u), (cubic) => tf.mul<T>(cubic, Math.sqrt(2 / Math.PI)), tf.tanh<T>);
}

/** Steps one after the other, each result freed when the next is there: a tidy would keep all of them to its end. */
function chain<T extends tf.Tensor>(first: T, ...steps: ((x: T) => T)[]): T {
  return steps.reduce((before, step) => {
    const after = step(before);
    before.dispose();
    return after;
  }, first);
}
