// The state of an SAE's training and how it is kept: weights, moments, step, last firing of each feature, the log. The
// reader of activations is a pure function of the step, so the data cursor is the step itself.
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { decodeActivationShard } from '../data/activationShard.ts';
import { readVerified } from '../data/artifact.ts';
import { latestCheckpoint, saveCheckpoint } from '../data/checkpoint.ts';
import { ShuffledReader } from '../data/shuffledReader.ts';
import { zeroMoments, type Moments } from '../model/adam.ts';
import { deadFeatures } from '../model/resampling.ts';
import type { SaeParameters } from '../model/sae.ts';
import type { SaeConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { resamplingResult } from '../schemas/jobs.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { manifestOf, specOf } from '../data/inputs.ts';
import type { JobContext } from './context.ts';
import { fromTensors, toTensors } from './tensorFiles.ts';

const logRow = z.strictObject({ step: z.int(), loss: z.number(), mse: z.number(), l1: z.number(), l0: z.number(), dead: z.int() });
export const saeState = z.strictObject({
  /** Inputs are multiplied by this during training (`unit-mean-square`), 1 otherwise. */
  scale: z.number().positive(),
  medianIterations: z.int().nonnegative(),
  log: z.array(logRow),
  resamplings: z.array(resamplingResult),
  /** Sums since the last row of the log. */
  sums: z.strictObject({ loss: z.number(), mse: z.number(), l1: z.number(), l0: z.number(), steps: z.int() }),
  seconds: z.number().nonnegative(),
});
export type SaeState = z.infer<typeof saeState>;
export const zeroSums: SaeState['sums'] = { loss: 0, mse: 0, l1: 0, l0: 0, steps: 0 };

export interface SaeTraining {
  id: ArtifactId;
  config: SaeConfig;
  seed: number;
  reader: ShuffledReader;
  d: number;
  hook: string;
  totalSteps: number;
  sae: SaeParameters;
  moments: Moments;
  /** Mean training activation [d], for mean ablation. */
  mean: Float32Array;
  /** Last 0-based step on which each feature fired, −1 for never. */
  lastFired: Int32Array;
  step: number;
  state: SaeState;
}

export type SaeSetting = Pick<SaeTraining, 'id' | 'config' | 'seed' | 'reader' | 'd' | 'hook' | 'totalSteps'>;

/** Configuration and data of an SAE artifact, before any weights. */
export async function openSetting(id: ArtifactId, context: JobContext): Promise<SaeSetting> {
  const { store } = context;
  const { config, inputs } = await specOf(store, id, 'trainSae');
  const activations = await manifestOf(store, 'sampleActivations', inputs.sampleActivations);
  const d = activations.metrics['d']!;
  const source = { stage: 'sampleActivations', key: inputs.sampleActivations } as const;
  const shards = activations.files.map((entry) => ({
    rows: entry.rows!,
    load: async () => (await decodeActivationShard(await readVerified(store, source, entry))).activations,
  }));
  const { batchSize, mixShards, epochs } = config.sae;
  const reader = new ShuffledReader({ shards, d, batchSize, mixShards, seed: config.seed, epochs });
  const hook = (await specOf(store, source, 'sampleActivations')).config.hook;
  return { id, config: config.sae, seed: config.seed, reader, d, hook, totalSteps: reader.batches };
}

/** A training as of its newest checkpoint. Throws UserError when it was not initialised. */
export async function openTraining(id: ArtifactId, context: JobContext): Promise<SaeTraining> {
  const setting = await openSetting(id, context);
  const checkpoint = await latestCheckpoint(context.store, id, saeState);
  if (checkpoint === null) throw new UserError(`${id.stage}/${id.key} has no usable checkpoint`, 'Delete the artifact folder and run again: initialiseSae writes the first one.');
  const part = (prefix: string) => toTensors(checkpoint.tensors, prefix);
  return {
    ...setting,
    sae: part('param.') as unknown as SaeParameters,
    moments: { m: part('m.'), v: part('v.') },
    mean: checkpoint.tensors['mean']!.data as Float32Array,
    // a copy: training writes to it
    lastFired: Int32Array.from(checkpoint.tensors['lastFired']!.data as Int32Array),
    step: checkpoint.step,
    state: checkpoint.state,
  };
}

/** A training at step 0 with the given weights. */
export function startTraining(setting: SaeSetting, weights: Record<string, { shape: number[]; data: Float32Array }>, mean: Float32Array, scale: number, medianIterations: number): SaeTraining {
  const sae = toTensors(weights);
  const state: SaeState = { scale, medianIterations, log: [], resamplings: [], sums: zeroSums, seconds: 0 };
  return { ...setting, sae: sae as unknown as SaeParameters, moments: zeroMoments(sae), mean, lastFired: new Int32Array(setting.config.features).fill(-1), step: 0, state };
}

export async function saveTraining(training: SaeTraining, context: JobContext): Promise<void> {
  const { sae, moments, lastFired, mean } = training;
  const tensors = {
    ...fromTensors({ ...sae }, 'param.'),
    ...fromTensors(moments.m, 'm.'),
    ...fromTensors(moments.v, 'v.'),
    lastFired: { shape: [lastFired.length], data: Int32Array.from(lastFired) },
    mean: { shape: [mean.length], data: Float32Array.from(mean) },
  };
  await saveCheckpoint(context.store, training.id, training.step, tensors, training.state);
}

/** Batch `step` in training units. [batchSize, d]. */
export async function batchAt({ reader, config, d, state }: SaeTraining, step: number): Promise<tf.Tensor2D> {
  const x = tf.tensor2d(await reader.read(step), [config.batchSize, d]);
  if (state.scale === 1) return x;
  const scaled = tf.mul<tf.Tensor2D>(x, state.scale);
  x.dispose();
  return scaled;
}

/** Features dead as of the training's step; before a whole window has passed, those that never fired. */
export function deadNow({ lastFired, step, config }: SaeTraining): number[] {
  return deadFeatures(lastFired, step, Math.min(step, config.resampling.deadWindowSteps));
}

export function disposeTraining({ sae, moments }: SaeTraining): void {
  tf.dispose([{ ...sae }, moments.m, moments.v]);
}
