// Adam and AdamW as PyTorch computes them: m̂ / (√v̂ + ε), with ε outside the bias correction's root (tfjs's own Adam
// puts it elsewhere). State is plain tensors, so that a checkpoint holds all of it.
import * as tf from '@tensorflow/tfjs-core';
import { adamUpdate } from './kernels.ts';
import type { Tensors } from './transformer.ts';

export interface AdamSettings {
  beta1: number;
  beta2: number;
  epsilon: number;
}

/** First and second moments, by parameter name. */
export interface Moments {
  m: Tensors;
  v: Tensors;
}

/** Zero moments for the given parameters. */
export function zeroMoments(parameters: Tensors): Moments {
  const zeros = () => Object.fromEntries(Object.entries(parameters).map(([name, tensor]) => [name, tf.zeros(tensor.shape)]));
  return { m: zeros(), v: zeros() };
}

export interface AdamOptions {
  /** Share of the parameter removed before the update (learning rate · weight decay), by name. */
  decay?: (name: string) => number;
  /** Multiplies every gradient (clipping, averaging over micro-batches). */
  gradientScale?: number;
}

/**
 * One Adam step of the tensors in `parameters` and `moments` (old ones are disposed). Every parameter moves, with the
 * moments' coefficients β as their float32 values in the update and in its bias correction alike.
 *
 * @param step 1-based number of this update, for bias correction
 */
export function adamStep(
  parameters: Tensors,
  gradients: Tensors,
  moments: Moments,
  step: number,
  learningRate: number,
  settings: AdamSettings,
  { decay = () => 0, gradientScale = 1 }: AdamOptions = {},
): void {
  const beta1 = Math.fround(settings.beta1);
  const beta2 = Math.fround(settings.beta2);
  const rootCorrection = Math.sqrt(1 - beta2 ** step);
  const coefficients = { beta1, beta2, stepSize: (learningRate * rootCorrection) / (1 - beta1 ** step), epsilon: settings.epsilon * rootCorrection };
  for (const [name, gradient] of Object.entries(gradients)) {
    const scaled = gradientScale === 1 ? gradient : tf.mul(gradient, gradientScale);
    const state = { parameter: shrunk(parameters[name]!, decay(name)), m: moments.m[name]!, v: moments.v[name]! };
    const updated = adamUpdate(state, scaled, coefficients);
    if (scaled !== gradient) scaled.dispose();
    parameters[name] = updated.parameter;
    moments.m[name] = updated.m;
    moments.v[name] = updated.v;
  }
}

/** The parameter less the share; the old tensor is disposed. */
function shrunk(parameter: tf.Tensor, share: number): tf.Tensor {
  if (share === 0) return parameter;
  const result = tf.mul(parameter, 1 - share);
  parameter.dispose();
  return result;
}

/** Square root of the sum of squares over all gradients, as a number. */
export function globalNorm(gradients: Tensors): number {
  return tf.tidy(() => {
    const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)) as tf.Scalar);
    return Math.sqrt(tf.sum(tf.stack(squares)).dataSync()[0]!);
  });
}
