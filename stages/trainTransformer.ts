// A segment of transformer training: from the newest checkpoint to a milestone, then an evaluation on held-out tokens.
// Every batch is a pure function of (seed, step), and a checkpoint holds all that affects the future, so a run that was
// killed anywhere ends with the bits of one that was not.
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { artifactPath, writeReceipt } from '../data/artifact.ts';
import { latestCheckpoint, saveCheckpoint } from '../data/checkpoint.ts';
import { randomOffset } from '../data/promptPlan.ts';
import { encodeSafetensors } from '../data/safetensors.ts';
import type { TokenStream } from '../data/tokenStream.ts';
import { zeroMoments, type Moments } from '../model/adam.ts';
import { countParameters, initialParameters, Transformer } from '../model/transformer.ts';
import { trainStep, type TokenBatch } from '../model/transformerTraining.ts';
import { paddedVocabSize, type ArchitectureConfig, type TransformerTrainingConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import type { SegmentResult } from '../schemas/jobs.ts';
import { RandomStream } from '../schemas/random.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { specOf } from '../data/inputs.ts';
import { openTokens } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';
import { fromTensors, toTensors } from './tensorFiles.ts';

const evaluation = z.strictObject({ step: z.int(), trainLoss: z.number(), valLoss: z.number(), gradientNorm: z.number(), learningRate: z.number() });
type Evaluation = z.infer<typeof evaluation>;
const trainingState = z.strictObject({
  evaluations: z.array(evaluation),
  /** Sums since the last evaluation. */
  lossSum: z.number(),
  normSum: z.number(),
  steps: z.int().nonnegative(),
  seconds: z.number().nonnegative(),
});
type TrainingState = z.infer<typeof trainingState>;

interface Training {
  id: ArtifactId;
  seed: number;
  config: TransformerTrainingConfig;
  architecture: ArchitectureConfig;
  train: TokenStream;
  heldOut: TokenStream;
  model: Transformer;
  moments: Moments;
  step: number;
  state: TrainingState;
}

/** Trains up to `toStep` and evaluates. Answers at once when a checkpoint is already there. */
export async function trainTransformerSegment(id: ArtifactId, toStep: number, context: JobContext): Promise<SegmentResult> {
  const training = await open(id, toStep, context);
  const { config, state } = training;
  const started = performance.now();
  const secondsBefore = state.seconds;
  const save = async () => {
    state.seconds = secondsBefore + (performance.now() - started) / 1000;
    await saveCheckpoint(context.store, id, training.step, checkpointTensors(training), state);
  };
  let checkpointStep = training.step;
  while (training.step < toStep) {
    const { loss, gradientNorm, learningRate } = trainStep(training.model, training.moments, await batches(training), training.step, config);
    refuseDivergence(loss, gradientNorm, training.step);
    training.step++;
    state.lossSum += loss;
    state.normSum += gradientNorm;
    state.steps++;
    context.report({ done: training.step, total: config.steps, unit: 'steps', metrics: { loss, gradientNorm, learningRate }, checkpointStep });
    await breathe();
    const stop = context.shouldStop();
    if (training.step === toStep) {
      state.evaluations.push(await evaluate(training, learningRate));
      Object.assign(state, { lossSum: 0, normSum: 0, steps: 0 });
    }
    if (training.step === toStep || stop || training.step % config.checkpointEverySteps === 0) {
      await save();
      checkpointStep = training.step;
    }
    if (stop && training.step < toStep) throw new StoppedError();
  }
  const last = state.evaluations.find(({ step }) => step === toStep);
  if (last === undefined) throw new UserError(`the checkpoint of step ${training.step} holds no evaluation of step ${toStep}`, 'Delete the artifact folder and run again.');
  if (toStep === config.steps) await finish(training, last, context);
  tf.dispose([training.model.parameters, training.moments.m, training.moments.v]);
  return { step: toStep, metrics: { trainLoss: last.trainLoss, valLoss: last.valLoss, learningRate: last.learningRate, seconds: state.seconds } };
}

async function open(id: ArtifactId, toStep: number, { store }: JobContext): Promise<Training> {
  const { config, inputs } = await specOf(store, id, 'trainTransformer');
  const { tokens: train, vocabSize } = await openTokens(store, inputs.tokenize, 'train');
  const { tokens: heldOut } = await openTokens(store, inputs.tokenize, 'heldOut');
  const { contextLength } = config.architecture;
  for (const [split, stream] of [['training', train], ['held-out', heldOut]] as const) {
    if (stream.length < contextLength + 1) throw new UserError(`${stream.length} ${split} tokens are fewer than one sequence of transformer.architecture.contextLength ${contextLength} + 1`, split === 'training' ? 'Use a larger corpus or a shorter context.' : 'Raise tokenize.heldOutFraction, use a larger corpus or a shorter context.');
  }
  const checkpoint = await latestCheckpoint(store, id, trainingState, { atMost: Math.max(toStep, config.training.steps) });
  const common = { id, seed: config.seed, config: config.training, architecture: config.architecture, train, heldOut };
  if (checkpoint === null) {
    const parameters = toTensors(initialParameters(config.architecture, paddedVocabSize(vocabSize), config.seed));
    const state: TrainingState = { evaluations: [], lossSum: 0, normSum: 0, steps: 0, seconds: 0 };
    return { ...common, model: new Transformer(config.architecture, parameters), moments: zeroMoments(parameters), step: 0, state };
  }
  const part = (prefix: string) => toTensors(checkpoint.tensors, prefix);
  const moments = { m: part('m.'), v: part('v.') };
  return { ...common, model: new Transformer(config.architecture, part('param.')), moments, step: checkpoint.step, state: checkpoint.state };
}

function checkpointTensors({ model, moments }: Training) {
  return { ...fromTensors(model.parameters, 'param.'), ...fromTensors(moments.m, 'm.'), ...fromTensors(moments.v, 'v.') };
}

/** The micro-batches of a step: offsets from a stream named by the step, as nanoGPT draws them. */
async function batches({ seed, step, config, architecture, train }: Training): Promise<TokenBatch[]> {
  const stream = new RandomStream(seed, 'trainTransformer', 'batch', step);
  const result: TokenBatch[] = [];
  for (let micro = 0; micro < config.gradientAccumulation; micro++) {
    const offsets = Array.from({ length: config.batchSize }, () => randomOffset(stream, train.length - architecture.contextLength));
    result.push(await sequences(train, offsets, architecture.contextLength));
  }
  return result;
}

/** Sequences at the given offsets as one batch of tokens and next tokens. */
export async function sequences(stream: TokenStream, offsets: number[], contextLength: number): Promise<TokenBatch> {
  const batch = offsets.length;
  const tokens = new Int32Array(batch * contextLength);
  const targets = new Int32Array(batch * contextLength);
  for (let row = 0; row < batch; row++) {
    const text = await stream.read(offsets[row]!, contextLength + 1);
    tokens.set(text.subarray(0, contextLength), row * contextLength);
    targets.set(text.subarray(1), row * contextLength);
  }
  return { tokens, targets, batch };
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

function refuseDivergence(loss: number, gradientNorm: number, step: number): void {
  if (Number.isFinite(loss) && Number.isFinite(gradientNorm)) return;
  throw new UserError(`transformer training diverged at step ${step}: loss ${loss}, gradient norm ${gradientNorm}`, 'The last good checkpoint is kept. Lower transformer.training.learningRate or raise warmupSteps.');
}

async function finish({ id, model, architecture, state, config }: Training, last: Evaluation, { store, device }: JobContext): Promise<void> {
  const vocabRows = model.parameters['transformer.wte.weight']!.shape[0]!;
  const weights = await store.put(artifactPath(id, 'model.safetensors'), encodeSafetensors(fromTensors(model.parameters), { format: 'pt' }));
  const json = (value: unknown) => Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  const about = await store.put(artifactPath(id, 'model.json'), json({ ...architecture, vocabRows }));
  const curve = await store.put(artifactPath(id, 'metrics.jsonl'), Buffer.from(state.evaluations.map((row) => `${JSON.stringify(row)}\n`).join('')));
  await writeReceipt(store, id, {
    shard: 0,
    files: [
      { path: 'model.safetensors', ...weights },
      { path: 'model.json', ...about },
      { path: 'metrics.jsonl', ...curve, rows: state.evaluations.length },
    ],
    metrics: { valLoss: last.valLoss, trainLoss: last.trainLoss, parameters: countParameters(architecture, vocabRows), steps: config.steps },
    seconds: state.seconds,
    device,
  });
}
