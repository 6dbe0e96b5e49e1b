// A segment of transformer training: from the newest checkpoint to a milestone, then an evaluation on held-out tokens.
// Every batch is a pure function of (seed, step), and a checkpoint holds all that affects the future, so a run that was
// killed anywhere ends with the bits of one that was not.
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { artifactPath, writeReceipt } from '../data/artifact.ts';
import { deleteCheckpointsAfter, latestCheckpoint, saveCheckpoint } from '../data/checkpoint.ts';
import { noTraffic, traffic, trafficOf } from '../data/countedStore.ts';
import { specOf } from '../data/inputs.ts';
import { planStage } from '../data/plans.ts';
import { encodeSafetensors, type TensorInput } from '../data/safetensors.ts';
import type { TokenStream } from '../data/tokenStream.ts';
import { zeroMoments, type Moments } from '../model/adam.ts';
import { countParameters, initialParameters, Transformer } from '../model/transformer.ts';
import { trainStep } from '../model/transformerTraining.ts';
import { paddedVocabSize } from '../schemas/config.ts';
import { divergence } from '../schemas/divergence.ts';
import { UserError } from '../schemas/errors.ts';
import type { SegmentResult } from '../schemas/jobs.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { openTokens } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';
import { divergedInTensors, divergencesWith, learningRateScaleAt, pinnedSteps, type Diverged } from './divergence.ts';
import { fromTensors, toTensors } from './tensorFiles.ts';
import { batchesAt, sequences, tokenProvenance, type TransformerBatches } from './transformerBatches.ts';

const evaluation = z.strictObject({ step: z.int(), trainLoss: z.number(), valLoss: z.number(), gradientNorm: z.number(), learningRate: z.number() });
type Evaluation = z.infer<typeof evaluation>;
const trainingState = z.strictObject({
  evaluations: z.array(evaluation),
  divergences: z.array(divergence),
  /** Sums since the last evaluation. */
  lossSum: z.number(),
  normSum: z.number(),
  steps: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
  /** Through the store in the jobs before the one that is running. */
  traffic: traffic.default(noTraffic),
});
type TrainingState = z.infer<typeof trainingState>;

interface Setting extends TransformerBatches {
  id: ArtifactId;
  heldOut: TokenStream;
  vocabRows: number;
  milestones: number[];
}

interface Training extends Setting {
  model: Transformer;
  moments: Moments;
  step: number;
  /** Step of the newest checkpoint, 0 for none. */
  checkpointStep: number;
  state: TrainingState;
}

/** Trains up to `toStep` and evaluates there. Answers at once when a checkpoint is already there. */
export async function trainTransformerSegment(id: ArtifactId, toStep: number, context: JobContext): Promise<SegmentResult> {
  const setting = await open(id, context);
  let training = await restore(setting, Infinity, context);
  const { config } = setting;
  const started = performance.now();
  const secondsBefore = training.state.seconds;
  while (training.step < toStep) {
    let diverged = await advance(training, toStep, context);
    training.state.seconds = secondsBefore + (performance.now() - started) / 1000;
    const stop = diverged === undefined && context.shouldStop();
    const milestone = isMilestone(training, toStep);
    if (diverged === undefined && (milestone || stop || training.step % config.checkpointEverySteps === 0)) {
      const tensors = checkpointTensors(training);
      diverged = divergedInTensors(config, training.step, milestone, tensors);
      if (diverged === undefined) await save(training, tensors, context);
    }
    if (diverged !== undefined) training = await goBack(training, diverged, context);
    if (stop && training.step < toStep) throw new StoppedError();
  }
  const { state } = training;
  const last = state.evaluations.find(({ step }) => step === toStep);
  if (last === undefined) throw new UserError(`the checkpoint of step ${training.step} holds no evaluation of step ${toStep}`, 'Delete the artifact folder and run again.');
  if (toStep === config.steps) await finish(training, last, context);
  dispose(training);
  return { step: toStep, metrics: { trainLoss: last.trainLoss, valLoss: last.valLoss, learningRate: last.learningRate, seconds: state.seconds } };
}

async function open(id: ArtifactId, { store }: JobContext): Promise<Setting> {
  const spec = await specOf(store, id, 'trainTransformer');
  const { config, inputs } = spec;
  const { tokens: train, vocabSize } = await openTokens(store, inputs.tokenize, 'train');
  const { tokens: heldOut } = await openTokens(store, inputs.tokenize, 'heldOut');
  const { contextLength } = config.architecture;
  for (const [split, stream] of [['training', train], ['held-out', heldOut]] as const) {
    if (stream.length < contextLength + 1) throw new UserError(`${stream.length} ${split} tokens are fewer than one sequence of transformer.architecture.contextLength ${contextLength} + 1`, split === 'training' ? 'Use a larger corpus or a shorter context.' : 'Raise tokenize.heldOutFraction, use a larger corpus or a shorter context.');
  }
  const { milestones } = await planStage(store, spec);
  return { id, seed: config.seed, config: config.training, architecture: config.architecture, train, heldOut, vocabRows: paddedVocabSize(vocabSize), milestones };
}

/** The training as of its newest checkpoint at `atMost` steps, or at its start. */
async function restore(setting: Setting, atMost: number, { store }: JobContext): Promise<Training> {
  const { id, architecture, vocabRows, seed } = setting;
  const checkpoint = await latestCheckpoint(store, id, trainingState, { atMost });
  if (checkpoint === null) {
    const parameters = toTensors(initialParameters(architecture, vocabRows, seed));
    const state: TrainingState = { evaluations: [], divergences: [], lossSum: 0, normSum: 0, steps: 0, seconds: 0, traffic: noTraffic };
    return { ...setting, model: new Transformer(architecture, parameters), moments: zeroMoments(parameters), step: 0, checkpointStep: 0, state };
  }
  const part = (prefix: string) => toTensors(checkpoint.tensors, prefix);
  const { step, state } = checkpoint;
  return { ...setting, model: new Transformer(architecture, part('param.')), moments: { m: part('m.'), v: part('v.') }, step, checkpointStep: step, state };
}

/** One step, and at a milestone its evaluation. Answers with what was not finite, if anything was: the training then has to go back. */
async function advance(training: Training, toStep: number, context: JobContext): Promise<Diverged | undefined> {
  const { config, state, step, model, moments } = training;
  const scale = learningRateScaleAt(state.divergences, step);
  const scaled = { ...config, learningRate: config.learningRate * scale, minLearningRate: config.minLearningRate * scale };
  const { loss, gradientNorm, learningRate, nonFinite } = trainStep(model, moments, await batchesAt(training, step), step, scaled);
  if (nonFinite !== undefined) {
    const [first] = nonFinite;
    return { step, afterUpdate: false, cause: `loss ${loss}, gradient norm ${gradientNorm}${first === undefined ? '' : `, gradient of ${first}${nonFinite.length === 1 ? '' : ` and ${nonFinite.length - 1} others`}`} (learning rate ${learningRate})` };
  }
  training.step++;
  state.lossSum += loss;
  state.normSum += gradientNorm;
  state.steps++;
  context.report({ done: training.step, total: config.steps, unit: 'steps', metrics: { loss, gradientNorm, learningRate }, checkpointStep: training.checkpointStep });
  await breathe();
  if (!isMilestone(training, toStep)) return undefined;
  const evaluation = await evaluate(training, learningRate);
  if (!Number.isFinite(evaluation.valLoss)) return { step, afterUpdate: true, cause: `held-out loss ${evaluation.valLoss} after the step (learning rate ${learningRate})` };
  state.evaluations.push(evaluation);
  Object.assign(state, { lossSum: 0, normSum: 0, steps: 0 });
  return undefined;
}

function isMilestone({ milestones, step }: Training, toStep: number): boolean {
  return step === toStep || milestones.includes(step);
}

/** The training at the milestone before the divergence, with the divergence noted, on disk too. Throws UserError where it is to stop. */
async function goBack(training: Training, diverged: Diverged, context: JobContext): Promise<Training> {
  const { id, config, milestones, state } = training;
  const batch = await tokenProvenance(training, training.model, diverged.step);
  const divergences = await divergencesWith({ id, what: 'transformer', configPath: 'transformer.training', onDivergence: config.onDivergence, milestones, state }, diverged, batch, training.checkpointStep, context);
  dispose(training);
  const back = await restore(training, divergences.at(-1)!.rolledBackTo, context);
  Object.assign(back.state, { divergences, seconds: state.seconds, traffic: state.traffic });
  await deleteCheckpointsAfter(context.store, id, back.step);
  await save(back, checkpointTensors(back), context);
  return back;
}

async function save(training: Training, tensors: Record<string, TensorInput>, { store }: JobContext): Promise<void> {
  const { id, step, config, milestones } = training;
  const state = { ...training.state, traffic: trafficOf(store, training.state.traffic) };
  await saveCheckpoint(store, id, step, tensors, state, { pinned: pinnedSteps({ ...config, milestones }, step) });
  training.checkpointStep = step;
}

function checkpointTensors({ model, moments }: Training) {
  return { ...fromTensors(model.parameters, 'param.'), ...fromTensors(moments.m, 'm.'), ...fromTensors(moments.v, 'v.') };
}

function dispose({ model, moments }: Training): void {
  tf.dispose([model.parameters, moments.m, moments.v]);
}

/** Mean loss on evenly spaced held-out sequences, the same ones at every evaluation. */
async function evaluate({ heldOut, config, architecture, model, step, state }: Training, learningRate: number): Promise<Evaluation> {
  const windows = Math.floor((heldOut.length - 1) / architecture.contextLength);
  const count = Math.min(config.evaluationSequences, windows);
  let sum = 0;
  for (let start = 0; start < count; start += config.batchSize) {
    const rows = Array.from({ length: Math.min(config.batchSize, count - start) }, (_, row) => Math.floor(((start + row) * windows) / count) * architecture.contextLength);
    const { tokens, targets, batch } = await sequences(heldOut, rows, architecture.contextLength);
    sum += tf.tidy(() => tf.sum(model.tokenLosses(tf.tensor1d(tokens, 'int32'), tf.tensor1d(targets, 'int32'), batch)).dataSync()[0]!);
    await breathe();
  }
  return { step, trainLoss: state.lossSum / state.steps, valLoss: sum / (count * architecture.contextLength), gradientNorm: state.normSum / state.steps, learningRate };
}

async function finish({ id, model, architecture, state, config }: Training, last: Evaluation, { store, device }: JobContext): Promise<void> {
  const vocabRows = model.parameters['transformer.wte.weight']!.shape[0]!;
  const weights = await store.put(artifactPath(id, 'model.safetensors'), encodeSafetensors(fromTensors(model.parameters), { format: 'pt' }));
  const json = (value: unknown) => Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  const about = await store.put(artifactPath(id, 'model.json'), json({ ...architecture, vocabRows }));
  const lines = (rows: unknown[]) => Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const curve = await store.put(artifactPath(id, 'metrics.jsonl'), lines(state.evaluations));
  const divergences = await store.put(artifactPath(id, 'divergences.jsonl'), lines(state.divergences));
  await writeReceipt(store, id, {
    shard: 0,
    files: [
      { path: 'model.safetensors', ...weights },
      { path: 'model.json', ...about },
      { path: 'metrics.jsonl', ...curve, rows: state.evaluations.length },
      { path: 'divergences.jsonl', ...divergences, rows: state.divergences.length },
    ],
    metrics: { valLoss: last.valLoss, trainLoss: last.trainLoss, parameters: countParameters(architecture, vocabRows), steps: config.steps },
    seconds: state.seconds,
    device,
    ...trafficOf(store, state.traffic),
  });
}
