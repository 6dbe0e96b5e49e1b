// Resampling of dead neurons on a training as it stands. Its record (SPEC §4) is a file of the artifact, so that anyone
// can check which features were dead, which vectors replaced them and what it did to the loss.
import { artifactPath } from '../data/artifact.ts';
import { drawableLosses, drawByLoss, resample } from '../model/resampling.ts';
import { openSaeTrainer } from '../model/saeTrainer.ts';
import { UserError } from '../schemas/errors.ts';
import type { ResamplingResult } from '../schemas/jobs.ts';
import { RandomStream } from '../schemas/random.ts';
import { breathe, type JobContext } from './context.ts';
import { refuseBadVectors } from './saeProvenance.ts';
import { batchAt, deadNow, saveTraining, type SaeTraining } from './saeTraining.ts';

/** Where the full record of a resampling is, inside the artifact. */
export function resamplingPath(step: number): string {
  return `resamplings/${String(step).padStart(9, '0')}.json`;
}

/** Resamples the training as it stands, adds the short record to its state and saves it. */
export async function resampleNow(training: SaeTraining, context: JobContext): Promise<ResamplingResult> {
  const { config, step, seed } = training;
  const dead = deadNow(training);
  const { vectors, losses, batches } = await candidates(training, context);
  const stream = new RandomStream(seed, 'trainSae', 'resampling', step);
  const { weights, m, v } = training.trainer.arrays();
  const draws = drawByLoss(drawableLosses(losses, vectors, weights, config.resampling), Array.from(dead, () => stream.uniform()));
  const replaced = resample(weights, { m, v }, dead, vectors, draws, config.resampling);
  training.trainer.dispose();
  training.trainer = openSaeTrainer({ weights, m, v }, config);

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
    vectors.set(x, index * config.batchSize * d);
    const batchLosses = training.trainer.losses(x, config.l1Coefficient);
    losses.set(batchLosses, index * config.batchSize);
    if (!batchLosses.every(Number.isFinite)) {
      await refuseBadVectors(training, batch, context);
      throw new UserError(`resampling at step ${step} found a loss that is not finite on batch ${batch} of the shuffled reader`, 'The checkpoint before it is kept. Lower saes[].learningRate.');
    }
    context.report({ done: index + 1, total: count, unit: 'batches', metrics: {} });
    await breathe();
  }
  return { vectors, losses, batches };
}

function lossesOf({ trainer, config, d }: SaeTraining, vectors: Float32Array): Float32Array {
  const rows = vectors.length / d;
  const losses = new Float32Array(rows);
  for (let start = 0; start < rows; start += config.batchSize) {
    losses.set(trainer.losses(vectors.subarray(start * d, (start + config.batchSize) * d), config.l1Coefficient), start);
  }
  return losses;
}

function mean(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
