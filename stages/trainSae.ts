// An SAE's training as jobs: initial weights from a sample, then segments between milestones, the last of which writes
// the SAE in SAELens's format.
import { AbsentShardError } from '../data/activationFile.ts';
import { artifactPath, writeReceipt } from '../data/artifact.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { latestCheckpoint } from '../data/checkpoint.ts';
import { trafficOf } from '../data/countedStore.ts';
import { idealDocuments } from '../data/documentDiversity.ts';
import { specOf } from '../data/inputs.ts';
import { encodeSafetensors } from '../data/safetensors.ts';
import { geometricMedian, unitMeanSquareScale } from '../model/geometricMedian.ts';
import { initialSae } from '../model/sae.ts';
import type { FileEntry } from '../schemas/artifact.ts';
import { UserError } from '../schemas/errors.ts';
import type { ResamplingResult, SegmentResult } from '../schemas/jobs.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { breathe, type JobContext } from './context.ts';
import { refuseBadVectors } from './saeProvenance.ts';
import { resampleNow, resamplingPath } from './saeResampling.ts';
import { trainTo } from './saeSteps.ts';
import { openSetting, openTraining, saeState, saveTraining, startMetrics, startTraining, tensorsOf, type SaeSetting, type SaeTraining } from './saeTraining.ts';

/** Writes the checkpoint of step 0: SPEC §4's initial weights, from the first `initVectors` vectors in reading order. */
export async function initialiseSae(id: ArtifactId, context: JobContext, supplied = false): Promise<SegmentResult> {
  const existing = await latestCheckpoint(context.store, id, saeState);
  if (existing !== null) return { step: 0, metrics: startMetrics(existing.state) };
  const setting = await openSetting(id, context);
  const { config, d } = setting;
  const points = await firstVectors(setting, context).catch((error: unknown) => {
    if (supplied && error instanceof AbsentShardError) return undefined;
    throw error;
  });
  if (points === undefined) return { step: 0, metrics: {}, absent: true };
  const mean = meanOf(points, d);
  const scale = config.normalizeActivations === 'unit-mean-square' ? unitMeanSquareScale(points) : 1;
  for (let index = 0; index < points.length; index++) points[index]! *= scale;
  const found = config.decoderBiasInit === 'geometric-median' ? geometricMedian(points, d) : undefined;
  if (found?.converged === false) warnOfMedian(found.iterations);
  const weights = initialSae(d, config.features, setting.seed, found && Float32Array.from(found.median));
  const median = found === undefined ? { medianIterations: 0 } : { medianIterations: found.iterations, medianConverged: found.converged };
  const training = startTraining(setting, weights, mean, { scale, ...median });
  await saveTraining(training, context);
  training.trainer.dispose();
  return { step: 0, metrics: startMetrics(training.state) };
}

async function firstVectors(setting: SaeSetting, context: JobContext): Promise<Float32Array> {
  const { config, d, reader } = setting;
  const points = new Float32Array(Math.min(config.initVectors, reader.batches * config.batchSize) * d);
  for (let filled = 0, batch = 0; filled < points.length; batch++) {
    await refuseBadVectors(setting, batch, context);
    const rows = (await reader.read(batch)).subarray(0, points.length - filled);
    points.set(rows, filled);
    filled += rows.length;
    context.report({ done: filled / d, total: points.length / d, unit: 'vectors', metrics: {} });
    await breathe();
  }
  return points;
}

/** Training moves b_dec anyway, so that this is no error. */
function warnOfMedian(iterations: number): void {
  process.stderr.write(`warning: the geometric median that b_dec starts at still moved after ${iterations} iterations; it is close, but not within the tolerance. Remedy, should it matter: another saes[].initVectors, or decoderBiasInit linear.\n`);
}

/**
 * Trains up to `toStep`. Answers at once when a checkpoint is already there. With `stopAt` it ends there, or earlier where
 * a shard is absent: somebody makes shards while it reads.
 */
export async function trainSaeSegment(id: ArtifactId, toStep: number, context: JobContext, stopAt?: number): Promise<SegmentResult> {
  const training = await openTraining(await openSetting(id, context), context);
  const absent = await trainTo(training, toStep, context, stopAt).then(() => false, (error: unknown) => saveBeforeAbsent(error, training, stopAt !== undefined, context));
  const { state } = training;
  if (training.step < toStep) {
    training.trainer.dispose();
    const { loss, mse, l1, l0, dead } = state.log.at(-1) ?? {};
    const known = Object.entries({ loss, mse, l1, l0, dead }).filter((entry): entry is [string, number] => entry[1] !== undefined);
    return { step: training.step, metrics: { ...Object.fromEntries(known), seconds: state.seconds }, ...(absent ? { absent } : {}) };
  }
  if (toStep === training.totalSteps) await finish(training, context);
  const last = state.log.filter(({ step }) => step <= toStep).at(-1);
  if (last === undefined) throw new UserError(`the checkpoint of step ${training.step} has no log before step ${toStep}`, 'Delete the artifact folder and run again.');
  training.trainer.dispose();
  const { loss, mse, l1, l0, dead } = last;
  return { step: toStep, metrics: { loss, mse, l1, l0, dead, seconds: state.seconds } };
}

/** Resamples at `step`, exactly once: a training that already holds its record answers with it. */
export async function resampleSae(id: ArtifactId, step: number, context: JobContext, supplied = false): Promise<ResamplingResult> {
  const training = await openTraining(await openSetting(id, context), context);
  const known = training.state.resamplings.find((record) => record.step === step);
  if (known !== undefined) {
    training.trainer.dispose();
    return known;
  }
  try {
    await trainTo(training, step, context);
    return await resampleNow(training, context);
  } catch (error) {
    return { step: training.step, dead: 0, resampled: 0, metrics: {}, absent: await saveBeforeAbsent(error, training, supplied, context) };
  } finally {
    training.trainer.dispose();
  }
}

/** Where a shard was absent that somebody can make, saves what was done; throws any other error on. */
async function saveBeforeAbsent(error: unknown, training: SaeTraining, supplied: boolean, context: JobContext): Promise<true> {
  if (!supplied || !(error instanceof AbsentShardError)) throw error;
  if (training.step > training.checkpointStep) await saveTraining(training, context);
  return true;
}

function meanOf(points: Float32Array, d: number): Float32Array {
  const sum = new Float64Array(d);
  for (let index = 0; index < points.length; index++) sum[index % d]! += points[index]!;
  return Float32Array.from(sum, (value) => (value * d) / points.length);
}

/** Weights in units of the hooked activation: with x' = s·x, f'(x') = s·f(x) when b_enc and b_dec are divided by s. */
async function finish(training: SaeTraining, { store, device }: JobContext): Promise<void> {
  const { id, trainer, state, config, d, hook, mean } = training;
  const { weights: trained } = trainer.arrays();
  for (const name of ['b_enc', 'b_dec'] as const) trained[name] = trained[name].map((value) => value / state.scale);
  const weights = tensorsOf(training, trained);
  const files: FileEntry[] = [];
  const put = async (path: string, bytes: Uint8Array, rows?: number) => files.push({ path, ...(await store.put(artifactPath(id, path), bytes)), ...(rows === undefined ? {} : { rows }) });
  await put('sae_weights.safetensors', encodeSafetensors(weights, { format: 'pt' }));
  // in a file of its own: SAELens refuses weights that have a tensor it does not know
  await put('activation_mean.safetensors', encodeSafetensors({ activation_mean: { shape: [d], data: Float32Array.from(mean) } }, { format: 'pt' }));
  const about = {
    architecture: 'standard',
    d_in: d,
    d_sae: config.features,
    dtype: 'float32',
    device: 'cpu',
    apply_b_dec_to_input: true,
    normalize_activations: 'none',
    // TransformerLens gives hook_z by head; the SAE reads the heads side by side
    reshape_activations: hook.endsWith('.hook_z') ? 'hook_z' : 'none',
    // without a version SAELens takes the file for one from before 6 and loses the hook
    metadata: { sae_lens_version: '6.0.0', hook_name: hook, hook_head_index: null, prepend_bos: false },
  };
  await put('cfg.json', Buffer.from(`${JSON.stringify(about, null, 2)}\n`));
  await put('metrics.jsonl', Buffer.from(state.log.map((row) => `${JSON.stringify(row)}\n`).join('')), state.log.length);
  await put('divergences.jsonl', Buffer.from(state.divergences.map((row) => `${JSON.stringify(row)}\n`).join('')), state.divergences.length);
  await put('resamplings.jsonl', Buffer.from(state.resamplings.map((row) => `${JSON.stringify(row)}\n`).join('')), state.resamplings.length);
  for (const { step } of state.resamplings) {
    const path = resamplingPath(step);
    await put(path, await store.get(artifactPath(id, path)));
  }
  const { loss, mse, l1, l0, dead } = state.log.at(-1)!;
  const result = { loss, mse, l1, l0, dead, steps: training.totalSteps, ...startMetrics(state), d, features: config.features };
  const metrics = { ...result, ...(await diversity(training, store)) };
  await writeReceipt(store, id, { shard: 0, files, metrics, seconds: state.seconds, waitSeconds: state.waitSeconds, device, ...trafficOf(store, state.traffic) });
}

/** Documents in a batch: the mean of those that were counted, and of batches drawn from all vectors at random. */
async function diversity({ id, config, state }: SaeTraining, store: ArtifactStore): Promise<Record<string, number>> {
  const { documents, batches } = state.diversity;
  if (batches === 0) return {};
  const activations = { stage: 'sampleActivations', key: (await specOf(store, id, 'trainSae')).inputs.sampleActivations } as const;
  const ideal = await idealDocuments(store, (await specOf(store, activations, 'sampleActivations')).inputs.tokenize, config.batchSize);
  return { documentsPerBatch: documents / batches, ...(ideal === undefined ? {} : { documentsIdeal: ideal }) };
}
