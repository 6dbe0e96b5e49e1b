// What an activity asks a compute process to do, and what it answers: small messages, data by path. The process reads
// the stage's spec.json from the store, so a job names its artifact and the part of it to make.
import { z } from 'zod';
import { metrics, receipt } from './artifact.ts';
import { saeComparison } from './comparison.ts';
import { artifactId, sha256Hex } from './stages.ts';

const part = { artifact: artifactId, storeUri: z.string() };
const shard = z.int().nonnegative();
const step = z.int().nonnegative();
/** Somebody makes shards that are absent: the job answers so instead of failing. */
const supplied = z.literal(true).optional();

export const job = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('tokenizeShard'), ...part, shard }),
  /** Steps from the newest checkpoint up to `toStep`, then an evaluation and a checkpoint. */
  z.strictObject({ kind: z.literal('trainTransformerSegment'), ...part, toStep: step }),
  /** `again`: a shard whose file was deleted, which must come out as its receipt says. */
  z.strictObject({ kind: z.literal('sampleShard'), ...part, shard, again: z.literal(true).optional() }),
  /** Initial weights: geometric median, normalisation; checkpoint of step 0. */
  z.strictObject({ kind: z.literal('initialiseSae'), ...part, supplied }),
  /** `stopAt`: the shards of the steps from there on are not asked for yet; a step whose shard is absent ends it earlier. */
  z.strictObject({ kind: z.literal('trainSaeSegment'), ...part, toStep: step, stopAt: step.optional() }),
  /** Resampling of dead neurons at `step`, exactly once: a checkpoint that holds its record is answered with that record. */
  z.strictObject({ kind: z.literal('resampleSae'), ...part, step, supplied }),
  /** Held-out windows of one shard through model and SAE: losses and sparse activations. */
  z.strictObject({ kind: z.literal('readFeaturesShard'), ...part, shard }),
  /** All examples, histograms and logits of one block of features, from the shards read. */
  z.strictObject({ kind: z.literal('writeFeaturesBlock'), ...part, block: shard }),
  /** The map of the features, from the decoder and all blocks. */
  z.strictObject({ kind: z.literal('mapFeatures'), ...part }),
  /** Example texts with all activations on them, and the model's files for the page; `shard` is the receipt's number, after shards and blocks. */
  z.strictObject({ kind: z.literal('writeTexts'), ...part, shard }),
  /** The SAE of a dashboard (`artifact`) against that of another one, whose key is `before`. */
  z.strictObject({ kind: z.literal('compareSaes'), ...part, before: sha256Hex }),
]);
export type Job = z.infer<typeof job>;
export type JobKind = Job['kind'];

/** A shard that was to be read is not there; all that was done is saved. */
const absent = z.literal(true).optional();
export const segmentResult = z.strictObject({ step, metrics, absent });
export type SegmentResult = z.infer<typeof segmentResult>;

/** SPEC §4: the record in short; the full one (dead ids, source rows, norms) is a file of the SAE artifact. */
export const resamplingResult = z.strictObject({
  step,
  dead: z.int().nonnegative(),
  resampled: z.int().nonnegative(),
  metrics,
  absent,
});
export type ResamplingResult = z.infer<typeof resamplingResult>;

export const jobResults = {
  tokenizeShard: receipt,
  trainTransformerSegment: segmentResult,
  sampleShard: receipt,
  initialiseSae: segmentResult,
  trainSaeSegment: segmentResult,
  resampleSae: resamplingResult,
  readFeaturesShard: receipt,
  writeFeaturesBlock: receipt,
  mapFeatures: receipt,
  writeTexts: receipt,
  compareSaes: saeComparison,
} satisfies Record<JobKind, z.ZodType>;
export type JobResult<Kind extends JobKind> = z.infer<(typeof jobResults)[Kind]>;

/** What a compute process reports while it works; the activity heartbeats it. */
export const jobProgress = z.strictObject({
  done: z.number().nonnegative(),
  total: z.number().positive(),
  /** What is counted: steps, tokens, vectors, windows, features. */
  unit: z.string(),
  metrics,
  checkpointStep: step.optional(),
});
export type JobProgress = z.infer<typeof jobProgress>;

export const toCompute = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('run'), id: z.int(), job }),
  /** Checkpoint at the next step boundary and answer `stopped`. */
  z.strictObject({ type: z.literal('stop'), id: z.int() }),
]);
export const fromCompute = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready'), backend: z.string(), device: z.string(), threads: z.int().positive() }),
  z.strictObject({ type: z.literal('progress'), id: z.int(), progress: jobProgress }),
  z.strictObject({ type: z.literal('done'), id: z.int(), result: z.unknown() }),
  z.strictObject({ type: z.literal('stopped'), id: z.int() }),
  z.strictObject({ type: z.literal('failed'), id: z.int(), name: z.string(), message: z.string(), remedy: z.string().optional(), stack: z.string().optional(), retryable: z.boolean() }),
]);
export type ToCompute = z.infer<typeof toCompute>;
export type FromCompute = z.infer<typeof fromCompute>;
