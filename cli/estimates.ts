// What a run will take, worked out on paper before anything runs: tokens, shards, bytes and floating-point operations of
// every stage, and time by device. Pure arithmetic, so that tests hold it against hand-worked numbers.
import { forwardFlopsPerToken, matmulParameters, samplingFlopsPerPrompt } from '../model/flops.ts';
import { hookWidth, type PipelineConfig } from '../schemas/config.ts';
import type { StageName } from '../schemas/stages.ts';
import type { Device } from './devices.ts';

/** The corpus as far as it is known. */
export interface CorpusSize {
  /** On disk, which is what shards are cut by. */
  diskBytes: number;
  textBytes: number;
  trainTokens: number;
  heldOutTokens: number;
}

export interface StageEstimate {
  stage: StageName;
  label: string;
  /** Shards of the fan-out, or segments of training. */
  pieces: number;
  unit: 'shards' | 'segments';
  /** What is counted: tokens, vectors, steps, features. */
  amount: number;
  amountUnit: string;
  flops: number;
  /** Kept in the store when the stage is finished. */
  bytes: number;
  /** Of activations read or written. */
  trafficBytes: number;
  work: 'text' | 'transformer' | 'sae';
  /** Of text read by tokenizing, else 0. */
  textBytes: number;
}

// Weights and two Adam moments in float32, of which two generations are kept, and weights once more at the end.
const trainingBytesPerParameter = 4 + 2 * 12;
// document, position and token of every vector, INT32 each.
const rowLabelBytes = 12;
// A token of an example on a feature's page: its id and activation as JSON.
const exampleTokenBytes = 12;
// L0 is not known beforehand; an activation of a held-out token is kept as an index and a value until the pages are made.
const assumedL0 = 20;
const sparseActivationBytes = 8;

/** All stages of a run, in the order of the pipeline. */
export function estimateStages(config: PipelineConfig, corpus: CorpusSize): StageEstimate[] {
  const hooks = [...new Set(config.saes.map(({ hook }) => hook))];
  return [
    estimateTokenize(config, corpus),
    estimateTransformer(config),
    ...hooks.map((hook) => estimateActivations(config, corpus, hook, hooks.length > 1 ? hook : '')),
    ...config.saes.map((_, index) => estimateSae(config, corpus, index)),
    ...config.saes.map((_, index) => estimateDashboard(config, corpus, index)),
  ];
}

/** Seconds a stage takes on one device: the slower of its arithmetic and its reading and writing. */
export function estimateSeconds(stage: StageEstimate, device: Device): number {
  if (stage.work === 'text') return stage.textBytes / device.textBytesPerSecond;
  const flopsPerSecond = stage.work === 'sae' ? device.saeFlops : device.transformerFlops;
  return Math.max(stage.flops / flopsPerSecond, stage.trafficBytes / device.diskBytesPerSecond);
}

/** Vectors that a run samples at a hook. */
export function sampledVectors({ activations, transformer }: PipelineConfig, { trainTokens }: CorpusSize): number {
  const prompts = activations.prompts ?? Math.floor(trainTokens / transformer.architecture.contextLength);
  return prompts * activations.positionsPerPrompt;
}

function estimateTokenize({ tokenize }: PipelineConfig, { diskBytes, textBytes, trainTokens, heldOutTokens }: CorpusSize): StageEstimate {
  const tokens = trainTokens + heldOutTokens;
  return { stage: 'tokenize', label: '', pieces: Math.ceil(diskBytes / tokenize.shardBytes), unit: 'shards', amount: tokens, amountUnit: 'tokens', flops: 0, bytes: 2 * tokens, trafficBytes: 0, work: 'text', textBytes };
}

function estimateTransformer({ transformer, tokenize }: PipelineConfig): StageEstimate {
  const { architecture, training } = transformer;
  const tokens = training.steps * training.batchSize * training.gradientAccumulation * architecture.contextLength;
  const evaluations = Math.ceil(training.steps / training.evaluateEverySteps);
  const evaluated = evaluations * training.evaluationSequences * architecture.contextLength;
  const forward = forwardFlopsPerToken(architecture, tokenize.vocabSize);
  const parameters = matmulParameters(architecture, tokenize.vocabSize) + architecture.contextLength * architecture.dModel;
  return { stage: 'trainTransformer', label: '', pieces: evaluations, unit: 'segments', amount: tokens, amountUnit: 'tokens', flops: forward * (3 * tokens + evaluated), bytes: parameters * trainingBytesPerParameter, trafficBytes: 0, work: 'transformer', textBytes: 0 };
}

function estimateActivations(config: PipelineConfig, corpus: CorpusSize, hook: string, label: string): StageEstimate {
  const { activations, transformer } = config;
  const vectors = sampledVectors(config, corpus);
  const prompts = vectors / activations.positionsPerPrompt;
  const bytes = vectors * (vectorBytes(config, hook) + rowLabelBytes);
  const consumed = activations.retention === 'consume';
  // What is consumed is made once for each epoch of the SAE that has most.
  const times = consumed ? Math.max(...config.saes.filter((sae) => sae.hook === hook).map(({ epochs }) => epochs)) : 1;
  const flops = times * prompts * samplingFlopsPerPrompt(transformer.architecture, hook, activations.positionsPerPrompt);
  return { stage: 'sampleActivations', label, pieces: Math.ceil(prompts / activations.promptsPerShard), unit: 'shards', amount: vectors, amountUnit: 'vectors', flops, bytes: consumed ? 0 : bytes, trafficBytes: times * bytes, work: 'transformer', textBytes: 0 };
}

function estimateSae(config: PipelineConfig, corpus: CorpusSize, index: number): StageEstimate {
  const sae = config.saes[index]!;
  const d = hookWidth(config.transformer.architecture, sae.hook);
  const vectors = sampledVectors(config, corpus);
  const steps = Math.floor((vectors * sae.epochs) / sae.batchSize);
  // Encoder and decoder forward, their two weight gradients, and the gradient at the features: five products.
  const flops = steps * 5 * 2 * sae.batchSize * d * sae.features;
  const bytes = (2 * d * sae.features + sae.features + d) * trainingBytesPerParameter;
  const trafficBytes = vectors * sae.epochs * (vectorBytes(config, sae.hook) + rowLabelBytes);
  return { stage: 'trainSae', label: config.saes.length > 1 ? sae.name : '', pieces: Math.ceil(steps / sae.segmentSteps), unit: 'segments', amount: steps, amountUnit: 'steps', flops, bytes, trafficBytes, work: 'sae', textBytes: 0 };
}

function estimateDashboard(config: PipelineConfig, { heldOutTokens }: CorpusSize, index: number): StageEstimate {
  const { dashboard, transformer, tokenize } = config;
  const sae = config.saes[index]!;
  const { architecture } = transformer;
  const windows = Math.floor(Math.min(heldOutTokens, dashboard.tokens ?? Infinity) / architecture.contextLength);
  const tokens = windows * architecture.contextLength;
  const d = hookWidth(architecture, sae.hook);
  const examples = dashboard.topExamples + dashboard.intervals * dashboard.examplesPerInterval;
  // Four forward passes (clean, reconstructed, zero- and mean-ablated), the SAE once, features by components for their
  // correlations; and an unembedding for each example and each firing that is ablated.
  const ablated = sae.features * (examples + dashboard.ablationFirings);
  const flops = tokens * (4 * forwardFlopsPerToken(architecture, tokenize.vocabSize) + 6 * d * sae.features) + ablated * 2 * architecture.dModel * tokenize.vocabSize;
  const bytes = sae.features * examples * (dashboard.contextBefore + 1 + dashboard.contextAfter) * exampleTokenBytes + tokens * assumedL0 * sparseActivationBytes;
  const pieces = Math.ceil(windows / dashboard.windowsPerShard) + Math.ceil(sae.features / dashboard.featuresPerBlock);
  return { stage: 'exportDashboard', label: config.saes.length > 1 ? sae.name : '', pieces, unit: 'shards', amount: sae.features, amountUnit: 'features', flops, bytes, trafficBytes: 0, work: 'transformer', textBytes: 0 };
}

function vectorBytes({ activations, transformer }: PipelineConfig, hook: string): number {
  return hookWidth(transformer.architecture, hook) * (activations.dtype === 'float16' ? 2 : 4);
}
