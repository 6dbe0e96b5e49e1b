// Resampling of dead neurons on a training as it stands. Its record (SPEC §4) is a file of the artifact, so that anyone
// can check which features were dead, which vectors replaced them and what it did to the loss.
import * as tf from '@tensorflow/tfjs-core';
import { artifactPath } from '../data/artifact.ts';
import { lossPerVector, saeParameterNames } from '../model/sae.ts';
import { drawByLoss, resample, type SaeArrays } from '../model/resampling.ts';
import type { ResamplingResult } from '../schemas/jobs.ts';
import { RandomStream } from '../schemas/random.ts';
import { breathe, type JobContext } from './context.ts';
import { batchAt, deadNow, disposeTraining, saveTraining, type SaeTraining } from './saeTraining.ts';
import { fromTensors, toTensors } from './tensorFiles.ts';

/** Where the full record of a resampling is, inside the artifact. */
export function resamplingPath(step: number): string {
  return `resamplings/${String(step).padStart(9, '0')}.json`;
}

/** Resamples the training as it stands, adds the short record to its state and saves it. */
export async function resampleNow(training: SaeTraining, context: JobContext): Promise<ResamplingResult> {
  const { config, step, seed, d } = training;
  const dead = deadNow(training);
  const { vectors, losses, batches } = await candidates(training, context);
  const stream = new RandomStream(seed, 'trainSae', 'resampling', step);
  const draws = drawByLoss(losses, Array.from(dead, () => stream.uniform()));
  const weights = arraysOf(training.sae as unknown as Record<string, tf.Tensor>);
  const moments = { m: arraysOf(training.moments.m), v: arraysOf(training.moments.v) };
  const replaced = resample(weights, moments, dead, vectors, draws, config.resampling);
  disposeTraining(training);
  const shapes: Record<keyof SaeArrays, number[]> = { W_enc: [d, config.features], b_enc: [config.features], W_dec: [config.features, d], b_dec: [d] };
  const restore = (arrays: SaeArrays) => toTensors(Object.fromEntries(saeParameterNames.map((name) => [name, { shape: shapes[name], data: arrays[name] }])));
  Object.assign(training, { sae: restore(weights), moments: { m: restore(moments.m), v: restore(moments.v) } });

  const lossBefore = mean(losses);
  const lossAfter = mean(lossesOf(training, vectors));
  const record = {
    step,
    dead,
    deadWindowSteps: config.resampling.deadWindowSteps,
    candidates: losses.length,
    lossBefore,
    lossAfter,
    replaced: replaced.map(({ candidate, ...rest }) => ({ ...rest, candidate, batch: batches[Math.floor(candidate / config.batchSize)]!, row: candidate % config.batchSize, candidateLoss: losses[candidate]! })),
  };
  await context.store.put(artifactPath(training.id, resamplingPath(step)), Buffer.from(`${JSON.stringify(record)}\n`));
  const result = { step, dead: dead.length, resampled: replaced.length, metrics: { lossBefore, lossAfter, candidates: losses.length } };
  training.state.resamplings.push(result);
  await saveTraining(training, context);
  return result;
}

/** The vectors of the batches that come next in the shuffled order (from the start again at the end): a random sample of the training set. */
async function candidates(training: SaeTraining, context: JobContext): Promise<{ vectors: Float32Array; losses: Float32Array; batches: number[] }> {
  const { config, d, step, totalSteps } = training;
  const count = Math.min(Math.ceil(config.resampling.candidates / config.batchSize), totalSteps);
  const vectors = new Float32Array(count * config.batchSize * d);
  const losses = new Float32Array(count * config.batchSize);
  const batches = Array.from({ length: count }, (_, index) => (step + index) % totalSteps);
  for (const [index, batch] of batches.entries()) {
    const x = await batchAt(training, batch);
    vectors.set(x.dataSync() as Float32Array, index * config.batchSize * d);
    losses.set(lossPerVector(training.sae, x, config.l1Coefficient, config.lossConvention), index * config.batchSize);
    x.dispose();
    context.report({ done: index + 1, total: count, unit: 'batches', metrics: {} });
    await breathe();
  }
  return { vectors, losses, batches };
}

function lossesOf({ sae, config, d }: SaeTraining, vectors: Float32Array): Float32Array {
  const rows = vectors.length / d;
  const losses = new Float32Array(rows);
  for (let start = 0; start < rows; start += config.batchSize) {
    const x = tf.tensor2d(vectors.subarray(start * d, (start + config.batchSize) * d), [Math.min(config.batchSize, rows - start), d]);
    losses.set(lossPerVector(sae, x, config.l1Coefficient, config.lossConvention), start);
    x.dispose();
  }
  return losses;
}

function arraysOf(tensors: Record<string, tf.Tensor>): SaeArrays {
  // copies: dataSync may hand out the tensor's own memory, and these arrays are written to
  return Object.fromEntries(Object.entries(fromTensors(tensors)).map(([name, { data }]) => [name, Float32Array.from(data as Float32Array)])) as unknown as SaeArrays;
}

function mean(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
