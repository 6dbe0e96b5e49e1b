// Activities of the gpu queue, by the names the UI shows. Thin: each is one job for a compute process.
import { z } from 'zod';
import { blockReceipt } from '../data/dashboardSite.ts';
import { dropShards, isOnlyForReceipt, receiptOfPresent } from '../data/shardFiles.ts';
import type { ResamplingResult, SegmentResult } from '../schemas/jobs.ts';
import { artifactId } from '../schemas/stages.ts';
import type { ActivityDeps } from './deps.ts';
import { withFailures } from './failures.ts';
import { runJob } from './runJob.ts';
import { blockInput, remakeShard, runShardJob, shardInput, summarize, type BlockInput, type ShardInput, type ShardSummary } from './shardJob.ts';

const step = z.int().nonnegative();
const supplied = z.literal(true).optional();
const segmentInput = z.strictObject({ artifact: artifactId, toStep: step });
const saeSegmentInput = segmentInput.extend({ stopAt: step.optional() });
const initialInput = z.strictObject({ artifact: artifactId, supplied });
const resamplingInput = z.strictObject({ artifact: artifactId, step, supplied });

/** The activities of the gpu queue. Every one is safe to repeat: it goes on from, or answers with, what the store holds. */
export function createGpuActivities(deps: ActivityDeps) {
  const { uri: storeUri } = deps.store;
  return withFailures({
    async trainTransformerSegment(input: z.infer<typeof segmentInput>): Promise<SegmentResult> {
      return runJob(deps, { kind: 'trainTransformerSegment', storeUri, ...segmentInput.parse(input) });
    },

    async sampleShard(input: ShardInput): Promise<ShardSummary> {
      const { artifact, shard } = shardInput.parse(input);
      const summary = await runShardJob(deps, { kind: 'sampleShard', artifact, storeUri, shard }, shard);
      // Of what is consumed only the receipts are to stay: SAEs have read it, or will have it made again.
      if (await isOnlyForReceipt(deps.store, artifact, shard)) await dropShards(deps.store, artifact, [shard]);
      return summary;
    },

    /** As sampleShard, for a shard whose file may have been deleted after its receipt was written. */
    async supplyShard(input: ShardInput): Promise<ShardSummary> {
      const { artifact, shard } = shardInput.parse(input);
      const found = await receiptOfPresent(deps.store, artifact, shard);
      return found === null ? remakeShard(deps, { kind: 'sampleShard', artifact, storeUri, shard, again: true }) : summarize(found, true);
    },

    async initialiseSae(input: z.infer<typeof initialInput>): Promise<SegmentResult> {
      return runJob(deps, { kind: 'initialiseSae', storeUri, ...initialInput.parse(input) });
    },

    async trainSaeSegment(input: z.infer<typeof saeSegmentInput>): Promise<SegmentResult> {
      return runJob(deps, { kind: 'trainSaeSegment', storeUri, ...saeSegmentInput.parse(input) });
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
