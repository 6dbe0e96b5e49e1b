// The sparse autoencoder of Bricken et al. 2023 in one file, with hand-written gradients; saeTrainer.ts steps it:
//   f = ReLU((x − b_dec) · W_enc + b_enc),  x̂ = f · W_dec + b_dec.
// Parameters keep SAELens's names and layout: W_enc [d, F], b_enc [F], W_dec [F, d], b_dec [d].
import * as tf from '@tensorflow/tfjs-core';
import type { SaeConfig } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';
import { matMul } from './kernels.ts';

export interface SaeParameters {
  W_enc: tf.Tensor2D;
  b_enc: tf.Tensor1D;
  W_dec: tf.Tensor2D;
  b_dec: tf.Tensor1D;
}
export const saeParameterNames = ['W_enc', 'b_enc', 'W_dec', 'b_dec'] as const;

/** Weights, or moments, as arrays in the layout of the files: W_enc [d, F], b_enc [F], W_dec [F, d], b_dec [d]. */
export interface SaeArrays {
  W_enc: Float32Array;
  b_enc: Float32Array;
  W_dec: Float32Array;
  b_dec: Float32Array;
}

/**
 * Initial weights (SPEC §4): Kaiming-uniform as PyTorch's Linear, decoder rows of unit norm, b_dec as given
 * (the geometric median) or Linear's own. Keyed by seed.
 */
export function initialSae(d: number, features: number, seed: number, decoderBias?: Float32Array): SaeArrays {
  const uniform = (name: string, size: number, bound: number) => {
    const stream = new RandomStream(seed, 'trainSae', 'init', name);
    return Float32Array.from({ length: size }, () => (2 * stream.uniform() - 1) * bound);
  };
  const decoder = uniform('W_dec', features * d, 1 / Math.sqrt(features));
  for (let row = 0; row < features; row++) {
    let squares = 0;
    for (let column = 0; column < d; column++) squares += decoder[row * d + column]! ** 2;
    const inverse = 1 / Math.sqrt(squares);
    for (let column = 0; column < d; column++) decoder[row * d + column]! *= inverse;
  }
  return {
    W_enc: uniform('W_enc', d * features, 1 / Math.sqrt(d)),
    b_enc: uniform('b_enc', features, 1 / Math.sqrt(d)),
    W_dec: decoder,
    b_dec: decoderBias ?? uniform('b_dec', d, 1 / Math.sqrt(features)),
  };
}

/** Feature activations. x [n, d] → [n, F]. Call inside tf.tidy. */
export function encode(sae: SaeParameters, x: tf.Tensor2D): tf.Tensor2D {
  return tf.relu(tf.add<tf.Tensor2D>(matMul(tf.sub<tf.Tensor2D>(x, sae.b_dec), sae.W_enc), sae.b_enc));
}

/** Reconstruction. f [n, F] → [n, d]. Call inside tf.tidy. */
export function decode(sae: SaeParameters, f: tf.Tensor2D): tf.Tensor2D {
  return tf.add(matMul(f, sae.W_dec), sae.b_dec);
}

export interface SaeLossAndGradients {
  /** [loss, mean over the batch and components of (x − x̂)², mean over the batch of Σ|f|], [3]. */
  losses: tf.Tensor1D;
  /** How many vectors of the batch fired each feature, [F]. */
  fired: tf.Tensor1D;
  gradients: Record<keyof SaeParameters, tf.Tensor>;
}

/**
 * Loss (SPEC §4) in either convention and its gradients. x [n, d]. The returned tensors are the caller's to dispose.
 *
 * @param convention `mean` averages the squared error over the d components, `sum` adds it up
 */
export function saeLossAndGradients(sae: SaeParameters, x: tf.Tensor2D, l1Coefficient: number, convention: SaeConfig['lossConvention']): SaeLossAndGradients {
  const [n, d] = x.shape;
  const result = tf.tidy((): Record<string, tf.Tensor> => {
    const centred = tf.sub<tf.Tensor2D>(x, sae.b_dec);
    const f = tf.relu(tf.add<tf.Tensor2D>(matMul(centred, sae.W_enc), sae.b_enc));
    const active = tf.cast<tf.Tensor2D>(tf.greater<tf.Tensor2D>(f, 0), 'float32');
    const residual = tf.sub<tf.Tensor2D>(decode(sae, f), x);
    const meanSquare = tf.mean<tf.Scalar>(tf.square(residual));
    const l1 = tf.div<tf.Scalar>(tf.sum(f), n);
    const squareScale = convention === 'mean' ? 1 : d;
    const dOut = tf.mul<tf.Tensor2D>(residual, (2 * squareScale) / (n * d));
    const dPre = tf.mul<tf.Tensor2D>(tf.add(matMul(dOut, sae.W_dec, false, true), l1Coefficient / n), active);
    const dEncoderBias = tf.sum<tf.Tensor1D>(dPre, 0);
    // b_dec acts at both ends: through the output, and through x − b_dec
    const throughInput = tf.reshape(matMul(tf.reshape<tf.Rank.R2>(dEncoderBias, [1, -1]), sae.W_enc, false, true), [d]);
    return {
      losses: tf.stack([tf.add<tf.Scalar>(tf.mul(meanSquare, squareScale), tf.mul(l1, l1Coefficient)), meanSquare, l1]),
      fired: tf.sum(active, 0),
      W_enc: matMul(centred, dPre, true, false),
      b_enc: dEncoderBias,
      W_dec: matMul(f, dOut, true, false),
      b_dec: tf.sub(tf.sum(dOut, 0), throughInput),
    };
  });
  const { losses, fired, ...gradients } = result;
  return { losses: losses as tf.Tensor1D, fired: fired as tf.Tensor1D, gradients: gradients as Record<keyof SaeParameters, tf.Tensor> };
}

/** Removes from the decoder's gradient the component parallel to each row of the decoder. Both [F, d]. */
export function projectDecoderGradient(gradient: tf.Tensor2D, decoder: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => {
    const parallel = tf.sum(tf.mul(gradient, decoder), 1, true);
    const squares = tf.sum(tf.square(decoder), 1, true);
    return tf.sub<tf.Tensor2D>(gradient, tf.mul(decoder, tf.div(parallel, squares)));
  });
}

/** Decoder rows scaled to unit norm, [F, d]. */
export function unitRows(decoder: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.div<tf.Tensor2D>(decoder, tf.sqrt(tf.sum(tf.square(decoder), 1, true))));
}

/** Learning rate and λ of 0-based `step`: warm-up of λ, linear decay at the end, re-warm-up after a resampling. */
export function saeSchedule(step: number, totalSteps: number, config: SaeConfig): { learningRate: number; l1Coefficient: number } {
  const decayStart = totalSteps * (1 - config.decayFraction);
  const decay = config.decayFraction > 0 && step > decayStart ? Math.max(0, (totalSteps - step) / (totalSteps - decayStart)) : 1;
  const lastResampling = Math.max(-Infinity, ...config.resampling.steps.filter((at) => at <= step));
  const since = step - lastResampling;
  const rewarm = config.resampling.rewarmupSteps > 0 && since < config.resampling.rewarmupSteps ? (since + 1) / (config.resampling.rewarmupSteps + 1) : 1;
  const l1Warmup = config.l1WarmupSteps > 0 ? Math.min(1, (step + 1) / config.l1WarmupSteps) : 1;
  return { learningRate: config.learningRate * decay * rewarm, l1Coefficient: config.l1Coefficient * l1Warmup };
}

/** ‖x − x̂‖² / d + λ·Σ|f| of each vector (loss of SPEC §4, by vector). x [n, d] → [n]. */
export function lossPerVector(sae: SaeParameters, x: tf.Tensor2D, l1Coefficient: number, convention: SaeConfig['lossConvention']): Float32Array {
  return tf.tidy(() => {
    const f = encode(sae, x);
    const squares = tf.sum(tf.square(tf.sub(decode(sae, f), x)), 1);
    const scale = convention === 'mean' ? 1 / x.shape[1] : 1;
    return tf.add(tf.mul(squares, scale), tf.mul(tf.sum(f, 1), l1Coefficient)).dataSync() as Float32Array;
  });
}
