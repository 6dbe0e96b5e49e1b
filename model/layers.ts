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
  return tf.tidy(() => (kind === 'relu' ? tf.relu(u) : tf.mul<T>(u, gate(kind, u))));
}

/** d(activate)/du, elementwise: exact GELU Φ(u) + u φ(u); its tanh form; or the step of ReLU. */
export function activationSlope<T extends tf.Tensor>(kind: ArchitectureConfig['activation'], u: T): T {
  return tf.tidy(() => {
    if (kind === 'relu') return tf.cast<T>(tf.greater<T>(u, 0), 'float32');
    const square = tf.square<T>(u);
    if (kind === 'gelu') {
      const density = tf.mul<T>(tf.exp<T>(tf.mul<T>(square, -0.5)), 1 / Math.sqrt(2 * Math.PI));
      return tf.add<T>(gate(kind, u), tf.mul(u, density));
    }
    const tanh = tanhOfGelu(u);
    const inner = tf.mul(tf.add(tf.mul(square, 3 * 0.044715), 1), Math.sqrt(2 / Math.PI));
    return tf.add<T>(tf.mul(tf.add(tanh, 1), 0.5), tf.mul(tf.mul(tf.mul(u, 0.5), tf.sub(1, tf.square(tanh))), inner));
  });
}

function gate<T extends tf.Tensor>(kind: 'gelu' | 'gelu-tanh', u: T): T {
  return tf.tidy(() => {
    const odd = kind === 'gelu' ? tf.erf<T>(tf.mul<T>(u, Math.SQRT1_2)) : tanhOfGelu(u);
    return tf.mul<T>(tf.add(odd, 1), 0.5);
  });
}

function tanhOfGelu<T extends tf.Tensor>(u: T): T {
  const cubic = tf.mul<T>(tf.add(tf.mul(tf.square(u), 0.044715), 1), u);
  return tf.tanh<T>(tf.mul<T>(cubic, Math.sqrt(2 / Math.PI)));
}
