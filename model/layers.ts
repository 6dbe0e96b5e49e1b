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
  const centred = tf.sub<tf.Tensor2D>(x, tf.mean(x, -1, true));
  const inverseStd = tf.rsqrt(tf.add<tf.Tensor2D>(tf.mean(tf.square(centred), -1, true), layerNormEpsilon));
  const normalised = tf.mul<tf.Tensor2D>(centred, inverseStd);
  const scaled = tf.mul<tf.Tensor2D>(normalised, gain);
  return { y: bias === undefined ? scaled : tf.add<tf.Tensor2D>(scaled, bias), cache: { normalised, inverseStd } };
}

/** Gradients of layerNorm: dy [n, d] → dx [n, d], dGain [d], dBias [d]. */
export function layerNormBackward(dy: tf.Tensor2D, cache: LayerNormCache, gain: tf.Tensor1D): { dx: tf.Tensor2D; dGain: tf.Tensor1D; dBias: tf.Tensor1D } {
  const dNormalised = tf.mul<tf.Tensor2D>(dy, gain);
  const mean = tf.mean(dNormalised, -1, true);
  const meanAlong = tf.mean(tf.mul(dNormalised, cache.normalised), -1, true);
  const dx = tf.mul<tf.Tensor2D>(tf.sub(tf.sub(dNormalised, mean), tf.mul(cache.normalised, meanAlong)), cache.inverseStd);
  return { dx, dGain: tf.sum(tf.mul(dy, cache.normalised), 0), dBias: tf.sum(dy, 0) };
}

/** The MLP's nonlinearity, elementwise. */
export function activate<T extends tf.Tensor>(kind: ArchitectureConfig['activation'], u: T): T {
  if (kind === 'relu') return tf.relu(u);
  return tf.mul<T>(u, gate(kind, u));
}

/** d(activate)/du, elementwise: exact GELU Φ(u) + u φ(u); its tanh form; or the step of ReLU. */
export function activationSlope<T extends tf.Tensor>(kind: ArchitectureConfig['activation'], u: T): T {
  if (kind === 'relu') return tf.cast<T>(tf.greater<T>(u, 0), 'float32');
  const square = tf.square<T>(u);
  if (kind === 'gelu') {
    const density = tf.mul<T>(tf.exp<T>(tf.mul<T>(square, -0.5)), 1 / Math.sqrt(2 * Math.PI));
    return tf.add<T>(gate(kind, u), tf.mul(u, density));
  }
  const tanh = tanhOfGelu(u);
  const inner = tf.mul(tf.add(tf.mul(square, 3 * 0.044715), 1), Math.sqrt(2 / Math.PI));
  return tf.add<T>(tf.mul(tf.add(tanh, 1), 0.5), tf.mul(tf.mul(tf.mul(u, 0.5), tf.sub(1, tf.square(tanh))), inner));
}

function gate<T extends tf.Tensor>(kind: 'gelu' | 'gelu-tanh', u: T): T {
  const odd = kind === 'gelu' ? tf.erf<T>(tf.mul<T>(u, Math.SQRT1_2)) : tanhOfGelu(u);
  return tf.mul<T>(tf.add(odd, 1), 0.5);
}

function tanhOfGelu<T extends tf.Tensor>(u: T): T {
  const cubic = tf.mul<T>(tf.add(tf.mul(tf.square(u), 0.044715), 1), u);
  return tf.tanh<T>(tf.mul<T>(cubic, Math.sqrt(2 / Math.PI)));
}

/** Queries in one block of causal attention: keys beyond a block's end are never multiplied. */
const queryBlock = 256;
const masked = -1e9;

export interface AttentionCache {
  /** Attention probabilities of each query block, [batch · heads, queries, keys up to the block's end]. */
  probabilities: tf.Tensor3D[];
}

/**
 * Causal attention. q (already divided by √head), k, v [batch · heads, T, head] → z of the same shape.
 * Computed in blocks of 256 queries, each against the keys up to its own end.
 */
export function causalAttention(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D): { z: tf.Tensor3D; cache: AttentionCache } {
  const [heads, length, width] = q.shape;
  const outputs: tf.Tensor3D[] = [];
  const probabilities: tf.Tensor3D[] = [];
  for (const { start, size, end } of blocks(length)) {
    const [output, probability] = tf.tidy(() => {
      const scores = tf.matMul(tf.slice3d(q, [0, start, 0], [heads, size, width]), tf.slice3d(k, [0, 0, 0], [heads, end, width]), false, true);
      const probability = tf.softmax(tf.add<tf.Tensor3D>(scores, causalMask(start, size)));
      return [tf.matMul(probability, tf.slice3d(v, [0, 0, 0], [heads, end, width])), probability] as const;
    }) as [tf.Tensor3D, tf.Tensor3D];
    outputs.push(output);
    probabilities.push(probability);
  }
  return { z: outputs.length === 1 ? outputs[0]! : tf.concat3d(outputs, 1), cache: { probabilities } };
}

/** Gradients of causalAttention with respect to q (scaled), k and v, each [batch · heads, T, head]. */
export function causalAttentionBackward(
  dz: tf.Tensor3D,
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  z: tf.Tensor3D,
  cache: AttentionCache,
): { dq: tf.Tensor3D; dk: tf.Tensor3D; dv: tf.Tensor3D } {
  const [heads, length, width] = q.shape;
  const dqs: tf.Tensor3D[] = [];
  let dk: tf.Tensor3D | undefined;
  let dv: tf.Tensor3D | undefined;
  blocks(length).forEach(({ start, size, end }, index) => {
    const [dqBlock, dkBlock, dvBlock] = tf.tidy(() => {
      const probability = cache.probabilities[index]!;
      const part = (x: tf.Tensor3D) => tf.slice3d(x, [0, start, 0], [heads, size, width]);
      const upToEnd = (x: tf.Tensor3D) => tf.slice3d(x, [0, 0, 0], [heads, end, width]);
      const dzBlock = part(dz);
      const dProbability = tf.matMul(dzBlock, upToEnd(v), false, true);
      const along = tf.sum(tf.mul(dzBlock, part(z)), -1, true);
      const dScores = tf.mul<tf.Tensor3D>(tf.sub(dProbability, along), probability);
      const padded = (x: tf.Tensor3D) => (end === length ? x : tf.pad3d(x, [[0, 0], [0, length - end], [0, 0]]));
      return [tf.matMul(dScores, upToEnd(k)), padded(tf.matMul(dScores, part(q), true)), padded(tf.matMul(probability, dzBlock, true))];
    }) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
    dqs.push(dqBlock);
    dk = dk === undefined ? dkBlock : tf.add<tf.Tensor3D>(dk, dkBlock);
    dv = dv === undefined ? dvBlock : tf.add<tf.Tensor3D>(dv, dvBlock);
  });
  return { dq: dqs.length === 1 ? dqs[0]! : tf.concat3d(dqs, 1), dk: dk!, dv: dv! };
}

function blocks(length: number): { start: number; size: number; end: number }[] {
  const count = Math.ceil(length / queryBlock);
  return Array.from({ length: count }, (_, index) => {
    const start = index * queryBlock;
    const size = Math.min(queryBlock, length - start);
    return { start, size, end: start + size };
  });
}

/** Additive mask [1, size, start + size]: −1e9 where the key comes after the query. */
function causalMask(start: number, size: number): tf.Tensor3D {
  const end = start + size;
  const values = new Float32Array(size * end);
  for (let row = 0; row < size; row++) values.fill(masked, row * end + start + row + 1, (row + 1) * end);
  return tf.tensor3d(values, [1, size, end]);
}

/**
 * Attention of a few kept queries only: q [batch · heads, P, head] at `positions` [batch · P] (row-major), against all
 * keys and values [batch · heads, T, head] → [batch · heads, P, head].
 */
export function attentionAtPositions(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D, positions: Int32Array, batch: number): tf.Tensor3D {
  const [rows, kept, width] = q.shape;
  const length = k.shape[1];
  const heads = rows / batch;
  const mask = new Float32Array(batch * kept * length);
  for (let row = 0; row < batch * kept; row++) mask.fill(masked, row * length + positions[row]! + 1, (row + 1) * length);
  const scores = tf.reshape(tf.matMul(q, k, false, true), [batch, heads, kept, length]);
  const probability = tf.softmax(tf.add<tf.Tensor4D>(scores, tf.tensor4d(mask, [batch, 1, kept, length])));
  return tf.reshape(tf.matMul(tf.reshape(probability, [rows, kept, length]), v), [rows, kept, width]);
}
