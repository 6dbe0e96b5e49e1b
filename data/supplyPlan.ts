// Before activations are sampled or read: whether all that will be on the disk at once fits it, and whether an SAE has to
// have its shards made while it reads them (activations.retention consume).
import { bytesPerNumber } from './activationFormat.ts';
import { hookWidth, type ActivationsConfig, type SaeConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import type { StagePlan } from '../schemas/progress.ts';
import type { SpecOf, StageSpec } from '../schemas/stages.ts';
import type { Reading } from '../schemas/supply.ts';
import { openActivations, readingPlanOf, type ActivationSource } from './activationSource.ts';
import { artifactPath, isConsumed, specKey } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { latestStep } from './checkpoint.ts';
import { specOf } from './inputs.ts';
import { planStage } from './plans.ts';
import { promptPlanOf } from './promptPlans.ts';
import { absentShards } from './shardFiles.ts';

/** Bytes of a vector's document, position and token, INT32 each. */
const rowLabelBytes = 12;
/** Groups of mixShards shards in the default window: a batch lies in two at most, and one is made ahead. */
const windowGroups = 3;
/** Weights and two moments in float32, two checkpoints kept and one being written. */
const checkpointBytesPerParameter = 3 * 3 * 4;

/** Bytes a vector takes in a shard. */
export function storedVectorBytes(d: number, dtype: ActivationsConfig['dtype']): number {
  return d * bytesPerNumber[dtype] + rowLabelBytes;
}

/** Shards that there may be at once for an SAE. */
export function windowOf({ windowShards }: Pick<ActivationsConfig, 'windowShards'>, { mixShards }: Pick<SaeConfig, 'mixShards'>): number {
  return windowShards ?? windowGroups * mixShards;
}

/**
 * What a stage's plan says of its activations, beside the work.
 *
 * @throws UserError with the arithmetic where the disk is too small
 */
export async function planSupply(store: ArtifactStore, spec: StageSpec): Promise<Pick<StagePlan, 'supply'>> {
  if (spec.stage === 'sampleActivations') await requireRoomToKeep(store, spec);
  if (spec.stage !== 'trainSae') return {};
  const source = await openActivations(store, spec.inputs.sampleActivations);
  const { activations } = source.spec.config;
  const supplied = !source.finished || ((await isConsumed(store, source.id)) && (activations.retention === 'consume' || (await absentShards(store, source.id)) > 0));
  if (!supplied) return {};
  const windowShards = Math.min(windowOf(activations, spec.config.sae), source.shards.length);
  if (activations.retention === 'consume') await requireRoomToConsume(store, spec, source, windowShards);
  return { supply: { spec: source.spec, windowShards } };
}

/** What the next job of an SAE's training reads. */
export type ReadingJob = { kind: 'initialise' } | { kind: 'segment'; from: number; toStep: number; absent: boolean } | { kind: 'resample'; step: number };

/**
 * Which shards a job of a training reads, by number. A segment begins at the newest checkpoint where that is beyond
 * `from`; with `absent`, which a job answers that could not read the newest or lacked a shard, at `from`. Initial weights and resamplings that a checkpoint is beyond read nothing.
 */
export async function planReading(store: ArtifactStore, spec: SpecOf<'trainSae'>, job: ReadingJob): Promise<Reading> {
  const source = await openActivations(store, spec.inputs.sampleActivations);
  const { resamplings } = await planStage(store, spec);
  const plan = readingPlanOf(source, spec.config, resamplings);
  const reading = await readingOf();
  const numbers = (indices: readonly number[]) => indices.map((index) => source.shards[index]!.shard);
  return { ...reading, need: numbers(reading.need), next: numbers(reading.next) };

  async function readingOf(): Promise<Reading> {
    const saved = await latestStep(store, { stage: 'trainSae', key: specKey(spec) });
    if (job.kind === 'initialise') return saved === undefined ? plan.initialise() : { ...plan.initialise(), need: [] };
    if (job.kind === 'resample') return saved !== undefined && saved > job.step ? { ...plan.resample(job.step), need: [] } : plan.resample(job.step);
    const from = job.absent ? job.from : Math.max(job.from, saved ?? 0);
    if (from >= job.toStep) return { ...plan.segment(job.toStep - 1, job.toStep), from, need: [], next: [] };
    const segment = plan.segment(from, job.toStep);
    // A resampling that was lost with its checkpoint is made again by the segment after it (stages/saeSteps.ts).
    return job.absent && resamplings.includes(from) ? { ...segment, need: [...new Set([...segment.need, ...plan.resample(from).need])] } : segment;
  }
}

async function requireRoomToKeep(store: ArtifactStore, spec: SpecOf<'sampleActivations'>): Promise<void> {
  const { activations, hook } = spec.config;
  if (activations.retention !== 'keep') return;
  const { vectors } = await promptPlanOf(store, spec);
  const { architecture } = (await specOf(store, { stage: 'trainTransformer', key: spec.inputs.trainTransformer }, 'trainTransformer')).config;
  const vectorBytes = storedVectorBytes(hookWidth(architecture, hook), activations.dtype);
  const sum = `${number(vectors)} vectors of ${hook} × ${number(vectorBytes)} bytes`;
  const remedy = 'Set activations.retention=consume, which deletes shards when they have been read, or choose another store with --store or SAEFLOW_STORE.';
  await requireRoom(store, artifactPath({ stage: 'sampleActivations', key: specKey(spec) }, ''), vectors * vectorBytes, sum, remedy);
}

async function requireRoomToConsume(store: ArtifactStore, spec: SpecOf<'trainSae'>, source: ActivationSource, windowShards: number): Promise<void> {
  const { milestones, resamplings } = await planStage(store, spec);
  const need = readingPlanOf(source, spec.config, resamplings).largestNeed(milestones);
  const shardsAtOnce = Math.max(windowShards, need);
  const { d, shards } = source;
  const { sae } = spec.config;
  const rows = shards.reduce((most, shard) => Math.max(most, shard.rows), 0);
  const vectorBytes = storedVectorBytes(d, source.spec.config.activations.dtype);
  const checkpoints = (2 * d * sae.features + sae.features + d) * checkpointBytesPerParameter;
  const why = need > windowShards ? `${need} shards that one job reads` : `a window of ${windowShards} shards`;
  const sum = `${why} × ${number(rows)} vectors × ${number(vectorBytes)} bytes, and ${number(checkpoints)} bytes of checkpoints`;
  const remedy = 'Lower activations.windowShards, activations.promptsPerShard, saes[].mixShards or saes[].resampling.candidates, or choose another store with --store or SAEFLOW_STORE.';
  const folders = [artifactPath(source.id, ''), artifactPath({ stage: 'trainSae', key: specKey(spec) }, '')];
  await requireRoom(store, folders, shardsAtOnce * rows * vectorBytes + checkpoints, sum, remedy);
}

/** What is in `folders` already counts as free: it is part of what is needed. */
async function requireRoom(store: ArtifactStore, folders: string | readonly string[], neededBytes: number, sum: string, remedy: string): Promise<void> {
  const free = await store.freeBytes();
  if (free === undefined || free >= neededBytes) return;
  let stored = 0;
  for (const folder of [folders].flat()) for (const { bytes } of await store.list(folder)) stored += bytes;
  if (free + stored >= neededBytes) return;
  // ENOSPC: an activity that fails so is tried again, for somebody may free space.
  throw new UserError(`${store.uri}: too small a disk: ${sum} = ${number(neededBytes)} bytes at once, ${number(free)} bytes are free${stored === 0 ? '' : ` and ${number(stored)} stored already`} (ENOSPC)`, remedy);
}

function number(value: number): string {
  return Math.ceil(value).toLocaleString('en');
}
