// The state of an SAE's training and how it is kept: weights, moments, step, last firing of each feature, the log. The
// reader of activations is a pure function of the step, so the data cursor is the step itself.
import { z } from 'zod';
import { rowsPerGroup } from '../data/activationFormat.ts';
import { openActivations, readableShards } from '../data/activationSource.ts';
import { latestCheckpoint, saveCheckpoint } from '../data/checkpoint.ts';
import { noTraffic, traffic, trafficOf } from '../data/countedStore.ts';
import { planStage } from '../data/plans.ts';
import type { TensorInput } from '../data/safetensors.ts';
import { ShuffledReader } from '../data/shuffledReader.ts';
import { deadFeatures } from '../model/resampling.ts';
import { saeParameterNames, type SaeArrays } from '../model/sae.ts';
import { openSaeTrainer, zeroSaeArrays, type SaeTrainer } from '../model/saeTrainer.ts';
import type { SaeConfig } from '../schemas/config.ts';
import { divergence } from '../schemas/divergence.ts';
import { UserError } from '../schemas/errors.ts';
import { resamplingResult } from '../schemas/jobs.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { specOf } from '../data/inputs.ts';
import type { JobContext } from './context.ts';
import { pinnedSteps } from './divergence.ts';

const logRow = z.strictObject({
  step: z.int(),
  loss: z.number(),
  mse: z.number(),
  l1: z.number(),
  l0: z.number(),
  dead: z.int(),
  learningRate: z.number(),
  /** Share of the steps since the last row that took the sparse path (model/saeTrainer.ts). */
  sparseShare: z.number(),
});
export const saeState = z.strictObject({
  /** Inputs are multiplied by this during training (`unit-mean-square`), 1 otherwise. */
  scale: z.number().positive(),
  medianIterations: z.int().nonnegative(),
  /** Whether the geometric median's test was met (model/geometricMedian.ts); absent where b_dec did not start there. */
  medianConverged: z.boolean().optional(),
  log: z.array(logRow),
  resamplings: z.array(resamplingResult),
  divergences: z.array(divergence),
  /** Sums since the last row of the log. */
  sums: z.strictObject({ loss: z.number(), mse: z.number(), l1: z.number(), l0: z.number(), sparse: z.int(), steps: z.int() }),
  /** L0 of the step before: it chooses the next step's path (model/saeTrainer.ts). */
  lastL0: z.number().nonnegative().optional(),
  seconds: z.number().nonnegative(),
  /** Of these, the time in which training waited for its vectors. */
  waitSeconds: z.number().nonnegative().default(0),
  /** Through the store in the jobs before the one that is running. */
  traffic: traffic.default(noTraffic),
  /** Documents that the batches of the log's rows were from, and how many such batches there were. */
  diversity: z.strictObject({ documents: z.int(), batches: z.int() }).default({ documents: 0, batches: 0 }),
});
export type SaeState = z.infer<typeof saeState>;
export const zeroSums: SaeState['sums'] = { loss: 0, mse: 0, l1: 0, l0: 0, sparse: 0, steps: 0 };

export interface SaeTraining {
  id: ArtifactId;
  config: SaeConfig;
  seed: number;
  reader: ShuffledReader;
  /** Room for the batch at hand: a new array each step would cost more than filling it. */
  batch: Float32Array;
  d: number;
  hook: string;
  totalSteps: number;
  /** Where segments end and neurons are resampled, ascending. */
  milestones: number[];
  trainer: SaeTrainer;
  /** Mean training activation [d], for mean ablation. */
  mean: Float32Array;
  /** Last 0-based step on which each feature fired, −1 for never. */
  lastFired: Int32Array;
  step: number;
  /** Step of the newest checkpoint. */
  checkpointStep: number;
  state: SaeState;
}

export type SaeSetting = Pick<SaeTraining, 'id' | 'config' | 'seed' | 'reader' | 'batch' | 'd' | 'hook' | 'totalSteps' | 'milestones'>;

/** Configuration and data of an SAE artifact, before any weights. */
export async function openSetting(id: ArtifactId, context: JobContext): Promise<SaeSetting> {
  const { store } = context;
  const spec = await specOf(store, id, 'trainSae');
  const { config, inputs } = spec;
  const activations = await openActivations(store, inputs.sampleActivations);
  const { d } = activations;
  const { batchSize, mixShards, epochs } = config.sae;
  const reader = new ShuffledReader({ shards: readableShards(store, activations), blockRows: rowsPerGroup, d, batchSize, mixShards, seed: config.seed, epochs });
  const { hook } = activations.spec.config;
  const { milestones } = await planStage(store, spec);
  return { id, config: config.sae, seed: config.seed, reader, batch: new Float32Array(batchSize * d), d, hook, totalSteps: reader.batches, milestones };
}

/** A training as of its newest checkpoint at `atMost` steps. Throws UserError when it was not initialised. */
export async function openTraining(setting: SaeSetting, context: JobContext, atMost = Infinity): Promise<SaeTraining> {
  const { id } = setting;
  const checkpoint = await latestCheckpoint(context.store, id, saeState, { atMost });
  if (checkpoint === null) throw new UserError(`${id.stage}/${id.key} has no usable checkpoint`, 'Delete the artifact folder and run again: initialiseSae writes the first one.');
  const part = (prefix: string) => Object.fromEntries(saeParameterNames.map((name) => [name, checkpoint.tensors[`${prefix}${name}`]!.data])) as unknown as SaeArrays;
  return {
    ...setting,
    trainer: openSaeTrainer({ weights: part('param.'), m: part('m.'), v: part('v.') }, setting.config),
    mean: checkpoint.tensors['mean']!.data as Float32Array,
    // a copy: training writes to it
    lastFired: Int32Array.from(checkpoint.tensors['lastFired']!.data as Int32Array),
    step: checkpoint.step,
    checkpointStep: checkpoint.step,
    state: checkpoint.state,
  };
}

/** A training at step 0 with the given weights; `start` is what is known of how they were made. */
export function startTraining(setting: SaeSetting, weights: SaeArrays, mean: Float32Array, start: Pick<SaeState, 'scale' | 'medianIterations' | 'medianConverged'>): SaeTraining {
  const { d, config } = setting;
  const zeros = () => zeroSaeArrays(d, config.features);
  const trainer = openSaeTrainer({ weights, m: zeros(), v: zeros() }, config);
  const state: SaeState = { ...start, log: [], resamplings: [], divergences: [], sums: zeroSums, seconds: 0, waitSeconds: 0, traffic: noTraffic, diversity: { documents: 0, batches: 0 } };
  return { ...setting, trainer, mean, lastFired: new Int32Array(config.features).fill(-1), step: 0, checkpointStep: 0, state };
}

export async function saveTraining(training: SaeTraining, { store }: JobContext, tensors = checkpointTensors(training)): Promise<void> {
  const { id, step, config, milestones } = training;
  const state = { ...training.state, traffic: trafficOf(store, training.state.traffic) };
  await saveCheckpoint(store, id, step, tensors, state, { pinned: pinnedSteps({ ...config, milestones }, step) });
  training.checkpointStep = step;
}

/** Copies of all that changes while training, by name. */
export function checkpointTensors(training: SaeTraining): Record<string, TensorInput> {
  const { trainer, lastFired, mean } = training;
  const { weights, m, v } = trainer.arrays();
  return {
    ...tensorsOf(training, weights, 'param.'),
    ...tensorsOf(training, m, 'm.'),
    ...tensorsOf(training, v, 'v.'),
    lastFired: { shape: [lastFired.length], data: Int32Array.from(lastFired) },
    mean: { shape: [mean.length], data: Float32Array.from(mean) },
  };
}

/** Arrays with the shapes that files give them, each name with the prefix before it. */
export function tensorsOf({ d, config: { features } }: SaeSetting, arrays: SaeArrays, prefix = ''): Record<string, TensorInput> {
  const shapes: Record<keyof SaeArrays, number[]> = { W_enc: [d, features], b_enc: [features], W_dec: [features, d], b_dec: [d] };
  return Object.fromEntries(saeParameterNames.map((name) => [`${prefix}${name}`, { shape: shapes[name], data: arrays[name] as Float32Array<ArrayBuffer> }]));
}

/** How b_dec and the scale of the inputs were found, as metrics. */
export function startMetrics({ scale, medianIterations, medianConverged }: SaeState): Record<string, number> {
  return { scale, medianIterations, ...(medianConverged === undefined ? {} : { medianConverged: Number(medianConverged) }) };
}

/** Batch `step` in training units, [batchSize, d], good until the next one is asked for. */
export function batchAt({ reader, state, batch }: SaeTraining, step: number): Promise<Float32Array> {
  return reader.read(step, state.scale, batch);
}

/** Features dead as of the training's step; before a whole window has passed, those that never fired. */
export function deadNow({ lastFired, step, config }: SaeTraining): number[] {
  return deadFeatures(lastFired, step, Math.min(step, config.resampling.deadWindowSteps));
}

/** Share of the time of training in which it waited for its vectors. */
export function waitingFraction({ seconds, waitSeconds }: Pick<SaeState, 'seconds' | 'waitSeconds'>): number {
  return seconds > 0 ? Math.min(1, waitSeconds / seconds) : 0;
}
