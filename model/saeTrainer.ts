// Where an SAE's weights and moments live while it trains, behind one interface: tensors of any TensorFlow.js backend
// (the portable path and the GPU's), or the native sparse kernel on a CPU. Both compute SPEC §4's step.
import * as tf from '@tensorflow/tfjs-core';
import type { SaeConfig } from '../schemas/config.ts';
import { adamStep, type Moments } from './adam.ts';
import { lossPerVector, projectDecoderGradient, saeLossAndGradients, saeParameterNames, unitRows, type SaeArrays, type SaeParameters } from './sae.ts';
import { saeKernel } from './saeKernel.ts';
import { NativeSaeTrainer } from './nativeSaeTrainer.ts';

/** All of a training's state that a step reads and changes. */
export interface SaeTrainingArrays {
  weights: SaeArrays;
  m: SaeArrays;
  v: SaeArrays;
}

/** `dense` multiplies whole matrices; `sparse` only active (vector, feature) pairs behind the encoder. */
export type SaePath = 'dense' | 'sparse';

export interface SaeStepResult {
  /** Mean over the batch of the loss of SPEC §4. */
  loss: number;
  /** Mean over the batch and the d components of (x − x̂)². */
  mse: number;
  /** Mean over the batch of Σ|f|. */
  l1: number;
  /** Mean over the batch of the number of active features. */
  l0: number;
  /** How many vectors of the batch fired each feature, [F]. */
  fired: ArrayLike<number>;
  path: SaePath;
  /** A parameter whose gradient was NaN or infinite; the training is then spoilt and must go back to a checkpoint. */
  nonFinite?: keyof SaeArrays;
}

export interface SaeTrainer {
  /** What computes, for a person: `tensorflow`, or the kernel's instruction set. */
  readonly device: string;
  /**
   * One step: gradient with the decoder's parallel part removed, Adam, decoder rows back to unit norm (every step [P]).
   *
   * @param x [n, d] row-major, n any number up to the batch size
   * @param step 1-based number of this update, for Adam's bias correction
   * @param lastL0 L0 of the step before, undefined on the first: it alone chooses the path, so a resumed training takes the same one
   */
  step(x: Float32Array, step: number, rates: { learningRate: number; l1Coefficient: number }, lastL0?: number): SaeStepResult;
  /** Loss of SPEC §4 of each vector, x [n, d] → [n]. */
  losses(x: Float32Array, l1Coefficient: number): Float32Array;
  /** Copies of all state. */
  arrays(): SaeTrainingArrays;
  dispose(): void;
}

export type SaeTrainerConfig = Pick<SaeConfig, 'features' | 'batchSize' | 'beta1' | 'beta2' | 'epsilon' | 'lossConvention'>;

/** Moments of a training at its start. */
export function zeroSaeArrays(d: number, features: number): SaeArrays {
  return { W_enc: new Float32Array(d * features), b_enc: new Float32Array(features), W_dec: new Float32Array(features * d), b_dec: new Float32Array(d) };
}

/** A trainer on the native kernel where one is registered, else on tensors. Copies `state`. */
export function openSaeTrainer(state: SaeTrainingArrays, config: SaeTrainerConfig): SaeTrainer {
  const kernel = saeKernel();
  return kernel === undefined ? new TensorSaeTrainer(state, config) : new NativeSaeTrainer(kernel, state, config);
}

/** The step on whole tensors: every TensorFlow.js backend can, and a GPU should. */
export class TensorSaeTrainer implements SaeTrainer {
  readonly device = 'tensorflow';
  private readonly config: SaeTrainerConfig;
  private readonly d: number;
  private readonly sae: SaeParameters;
  private readonly moments: Moments;

  constructor({ weights, m, v }: SaeTrainingArrays, config: SaeTrainerConfig) {
    this.config = config;
    this.d = weights.b_dec.length;
    const tensors = (arrays: SaeArrays) => saeTensors(arrays, this.d, config.features);
    this.sae = tensors(weights);
    this.moments = { m: { ...tensors(m) }, v: { ...tensors(v) } };
  }

  step(x: Float32Array, step: number, { learningRate, l1Coefficient }: { learningRate: number; l1Coefficient: number }): SaeStepResult {
    const batch = tf.tensor2d(x, [x.length / this.d, this.d]);
    const { sae, moments, config } = this;
    const { losses, fired, gradients } = saeLossAndGradients(sae, batch, l1Coefficient, config.lossConvention);
    const projected = projectDecoderGradient(gradients.W_dec as tf.Tensor2D, sae.W_dec);
    gradients.W_dec.dispose();
    const ready = { ...gradients, W_dec: projected };
    const nonFinite = saeParameterNames.find((name) => !Number.isFinite(sumOf(ready[name])));
    const parameters: Record<string, tf.Tensor> = { ...sae };
    adamStep(parameters, ready, moments, step, learningRate, config);
    const decoder = parameters['W_dec'] as tf.Tensor2D;
    Object.assign(sae, parameters, { W_dec: unitRows(decoder) });
    const [loss, mse, l1] = losses.dataSync() as Float32Array;
    const counts = fired.dataSync() as Float32Array;
    tf.dispose([batch, decoder, { ...ready }, losses, fired]);
    const firings = counts.reduce((total, count) => total + count, 0);
    return { loss: loss!, mse: mse!, l1: l1!, l0: (firings * this.d) / x.length, fired: counts, path: 'dense', ...(nonFinite === undefined ? {} : { nonFinite }) };
  }

  losses(x: Float32Array, l1Coefficient: number): Float32Array {
    return tf.tidy(() => lossPerVector(this.sae, tf.tensor2d(x, [x.length / this.d, this.d]), l1Coefficient, this.config.lossConvention));
  }

  arrays(): SaeTrainingArrays {
    return { weights: arraysOf({ ...this.sae }), m: arraysOf(this.moments.m), v: arraysOf(this.moments.v) };
  }

  dispose(): void {
    tf.dispose([{ ...this.sae }, this.moments.m, this.moments.v]);
  }
}

/** Arrays as tensors, in their shapes. The caller disposes them. */
export function saeTensors(arrays: SaeArrays, d: number, features: number): SaeParameters {
  return {
    W_enc: tf.tensor2d(arrays.W_enc, [d, features]),
    b_enc: tf.tensor1d(arrays.b_enc),
    W_dec: tf.tensor2d(arrays.W_dec, [features, d]),
    b_dec: tf.tensor1d(arrays.b_dec),
  };
}

function arraysOf(tensors: Record<string, tf.Tensor>): SaeArrays {
  // copies: dataSync may hand out the tensor's own memory
  return Object.fromEntries(saeParameterNames.map((name) => [name, Float32Array.from(tensors[name]!.dataSync())])) as unknown as SaeArrays;
}

/** NaN or infinite where any element is, or where they are too large to add up. */
function sumOf(tensor: tf.Tensor): number {
  return tf.tidy(() => tf.sum(tf.abs(tensor)).dataSync()[0]!);
}
