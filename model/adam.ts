// Adam and AdamW as PyTorch computes them: m̂ / (√v̂ + ε), with ε outside the bias correction's root (tfjs's own Adam
// puts it elsewhere). State is plain tensors, so that a checkpoint holds all of it.
import * as tf from '@tensorflow/tfjs-core';
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

/**
 * One Adam step, in place of the tensors in `parameters` and `moments` (old ones are disposed).
 *
 * @param step 1-based number of this update, for bias correction
 * @param decay share of the parameter removed before the update (learning rate · weight decay), by name
 */
export function adamStep(
  parameters: Tensors,
  gradients: Tensors,
  moments: Moments,
  step: number,
  learningRate: number,
  settings: AdamSettings,
  decay: (name: string) => number = () => 0,
): void {
  const { beta1, beta2, epsilon } = settings;
  const stepSize = learningRate / (1 - beta1 ** step);
  const rootCorrection = Math.sqrt(1 - beta2 ** step);
  for (const [name, gradient] of Object.entries(gradients)) {
    const old = [parameters[name]!, moments.m[name]!, moments.v[name]!] as const;
    const [parameter, m, v] = tf.tidy(() => {
      const m = tf.add(tf.mul(old[1], beta1), tf.mul(gradient, 1 - beta1));
      const v = tf.add(tf.mul(old[2], beta2), tf.mul(tf.square(gradient), 1 - beta2));
      const update = tf.div(tf.mul(m, stepSize), tf.add(tf.div(tf.sqrt(v), rootCorrection), epsilon));
      const shrink = decay(name);
      return [tf.sub(shrink === 0 ? old[0] : tf.mul(old[0], 1 - shrink), update), m, v];
    }) as [tf.Tensor, tf.Tensor, tf.Tensor];
    tf.dispose([...old]);
    parameters[name] = parameter;
    moments.m[name] = m;
    moments.v[name] = v;
  }
}

/** Square root of the sum of squares over all gradients, as a number. */
export function globalNorm(gradients: Tensors): number {
  return tf.tidy(() => {
    const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)) as tf.Scalar);
    return Math.sqrt(tf.sum(tf.stack(squares)).dataSync()[0]!);
  });
}
