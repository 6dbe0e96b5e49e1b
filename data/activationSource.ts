// The activation shards that an SAE reads, whether they are finished or made while it reads (activations.retention
// consume): how many rows each has follows from the manifest, or before there is one from the plan of the prompts.
import type { FileEntry, Manifest } from '../schemas/artifact.ts';
import { hookWidth } from '../schemas/config.ts';
import type { ArtifactId, SpecOf } from '../schemas/stages.ts';
import { AbsentShardError, ActivationFile, type RowBlock } from './activationFile.ts';
import { rowsPerGroup } from './activationFormat.ts';
import { artifactPath, readManifest, readReceipt } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { manifestOf, specOf } from './inputs.ts';
import { promptPlanOf } from './promptPlans.ts';
import { ReadingPlan } from './readingPlan.ts';
import type { ReadableShard } from './shuffledReader.ts';

/** One file of activations, which need not be there. */
export interface ActivationShard {
  /** Number of the shard, from which its file is named. */
  shard: number;
  path: string;
  rows: number;
  /** With hash and size. Throws AbsentShardError while nobody has made it. */
  entry(): Promise<FileEntry>;
}

export interface ActivationSource {
  id: ArtifactId;
  spec: SpecOf<'sampleActivations'>;
  /** Components of a vector. */
  d: number;
  vectors: number;
  /** In the order of the manifest, by which the shuffled reader numbers them. */
  shards: ActivationShard[];
  finished: boolean;
}

/**
 * The activations of a key.
 *
 * @throws UserError when they are not finished, and not to be made while they are read either
 */
export async function openActivations(store: ArtifactStore, key: string): Promise<ActivationSource> {
  const id: ArtifactId = { stage: 'sampleActivations', key };
  const manifest = await readManifest(store, id);
  if (manifest === null) return plannedActivations(store, id);
  const spec = await specOf(store, id, 'sampleActivations');
  return { id, spec, d: manifest.metrics['d']!, vectors: manifest.metrics['vectors']!, shards: manifest.files.map(finishedShard), finished: true };
}

/** Readers of the shards, in the same order; each opens its file when it is first read. */
export function readableShards(store: ArtifactStore, { id, d, shards }: ActivationSource): ReadableShard[] {
  return shards.map(({ rows, entry }) => {
    let file: Promise<ActivationFile> | undefined;
    const read = async (block: number): Promise<RowBlock> => {
      file ??= entry().then((found) => new ActivationFile(store, id, found, d));
      // So that the next attempt looks for it anew.
      const opened = await file.catch((error: unknown) => {
        file = undefined;
        throw error;
      });
      return opened.read(block);
    };
    return { rows, read };
  });
}

/** How an SAE reads these activations. */
export function readingPlanOf({ shards }: Pick<ActivationSource, 'shards'>, { seed, sae }: SpecOf<'trainSae'>['config'], resamplings: readonly number[]): ReadingPlan {
  const { mixShards, batchSize, epochs, initVectors, resampling } = sae;
  return new ReadingPlan({ sizes: shards.map(({ rows }) => rows), blockRows: rowsPerGroup, mixShards, seed, batchSize, epochs, initVectors, candidates: resampling.candidates, resamplings });
}

/** The file of a shard, inside the artifact. */
export function shardPath(shard: number): string {
  return `shards/${String(shard).padStart(5, '0')}.parquet`;
}

async function plannedActivations(store: ArtifactStore, id: ArtifactId): Promise<ActivationSource> {
  const spec = await specOf(store, id, 'sampleActivations').catch(() => undefined);
  // Says that they are not finished.
  if (spec?.config.activations.retention !== 'consume') await manifestOf(store, id.stage, id.key);
  const { config, inputs } = spec!;
  const plan = await promptPlanOf(store, spec!);
  const { architecture } = (await specOf(store, { stage: 'trainTransformer', key: inputs.trainTransformer }, 'trainTransformer')).config;
  const { promptsPerShard, positionsPerPrompt } = config.activations;
  const shards = Array.from({ length: Math.ceil(plan.prompts / promptsPerShard) }, (_, shard): ActivationShard => {
    const rows = Math.min(promptsPerShard, plan.prompts - shard * promptsPerShard) * positionsPerPrompt;
    return { shard, path: shardPath(shard), rows, entry: () => entryOf(store, id, shard) };
  });
  return { id, spec: spec!, d: hookWidth(architecture, config.hook), vectors: plan.vectors, shards: shards.sort((a, b) => (a.path < b.path ? -1 : 1)), finished: false };
}

function finishedShard(entry: Manifest['files'][number]): ActivationShard {
  return { shard: Number(/(\d+)\.parquet$/.exec(entry.path)![1]), path: entry.path, rows: entry.rows!, entry: () => Promise.resolve(entry) };
}

async function entryOf(store: ArtifactStore, id: ArtifactId, shard: number): Promise<FileEntry> {
  const receipt = await readReceipt(store, id, shard);
  if (receipt !== null) return receipt.files[0]!;
  throw new AbsentShardError(`${store.uri}/${artifactPath(id, shardPath(shard))} has not been made yet`, 'Run the whole configuration again: with activations.retention consume it is made when it is read.');
}
