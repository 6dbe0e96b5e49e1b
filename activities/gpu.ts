// Activities of the gpu queue, by the names the UI shows. Thin: each is one job for a compute process.
import { z } from 'zod';
import { blockReceipt } from '../data/dashboardSite.ts';
import type { ResamplingResult, SegmentResult } from '../schemas/jobs.ts';
import { artifactId } from '../schemas/stages.ts';
import type { ActivityDeps } from './deps.ts';
import { withFailures } from './failures.ts';
import { runJob } from './runJob.ts';
import { blockInput, runShardJob, shardInput, type BlockInput, type ShardInput, type ShardSummary } from './shardJob.ts';

const step = z.int().nonnegative();
const segmentInput = z.strictObject({ artifact: artifactId, toStep: step });
const initialInput = z.strictObject({ artifact: artifactId });
const resamplingInput = z.strictObject({ artifact: artifactId, step });

/** The activities of the gpu queue. Every one is safe to repeat: it goes on from, or answers with, what the store holds. */
export function createGpuActivities(deps: ActivityDeps) {
  const { uri: storeUri } = deps.store;
  return withFailures({
    async trainTransformerSegment(input: z.infer<typeof segmentInput>): Promise<SegmentResult> {
      return runJob(deps, { kind: 'trainTransformerSegment', storeUri, ...segmentInput.parse(input) });
    },

    async sampleShard(input: ShardInput): Promise<ShardSummary> {
      const { artifact, shard } = shardInput.parse(input);
      return runShardJob(deps, { kind: 'sampleShard', artifact, storeUri, shard }, shard);
    },

    async initialiseSae(input: z.infer<typeof initialInput>): Promise<SegmentResult> {
      return runJob(deps, { kind: 'initialiseSae', storeUri, ...initialInput.parse(input) });
    },

    async trainSaeSegment(input: z.infer<typeof segmentInput>): Promise<SegmentResult> {
      return runJob(deps, { kind: 'trainSaeSegment', storeUri, ...segmentInput.parse(input) });
    },

    async resampleSae(input: z.infer<typeof resamplingInput>): Promise<ResamplingResult> {
      return runJob(deps, { kind: 'resampleSae', storeUri, ...resamplingInput.parse(input) });
    },

    async readFeaturesShard(input: ShardInput): Promise<ShardSummary> {
      const { artifact, shard } = shardInput.parse(input);
      return runShardJob(deps, { kind: 'readFeaturesShard', artifact, storeUri, shard }, shard);
    },

    async writeFeaturesBlock(input: BlockInput): Promise<ShardSummary> {
      const { artifact, block, shards } = blockInput.parse(input);
      return runShardJob(deps, { kind: 'writeFeaturesBlock', artifact, storeUri, block }, blockReceipt(shards, block));
    },

    async mapFeatures(input: BlockInput): Promise<ShardSummary> {
      const { artifact, block, shards } = blockInput.parse(input);
      return runShardJob(deps, { kind: 'mapFeatures', artifact, storeUri }, blockReceipt(shards, block));
    },

    async writeTexts(input: ShardInput): Promise<ShardSummary> {
      const { artifact, shard } = shardInput.parse(input);
      return runShardJob(deps, { kind: 'writeTexts', artifact, storeUri, shard }, shard);
    },
  });
}

export type GpuActivities = ReturnType<typeof createGpuActivities>;
