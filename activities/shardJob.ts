// A shard as an activity: if its receipt is in the store nothing is computed, and what Temporal carries is a summary.
import { z } from 'zod';
import { readReceipt } from '../data/artifact.ts';
import type { Receipt } from '../schemas/artifact.ts';
import type { Job } from '../schemas/jobs.ts';
import { artifactId } from '../schemas/stages.ts';
import type { ActivityDeps } from './deps.ts';
import { runJob } from './runJob.ts';

const number = z.int().nonnegative();

export const shardInput = z.strictObject({ artifact: artifactId, shard: number });
export type ShardInput = z.infer<typeof shardInput>;

export const blockInput = z.strictObject({
  artifact: artifactId,
  block: number,
  /** Shards of the fan-out before, after which the receipts of blocks are numbered. */
  shards: number,
});
export type BlockInput = z.infer<typeof blockInput>;

/** What the history shows of a finished shard; the receipt in the store has the rest. */
export interface ShardSummary {
  shard: number;
  /** True when an earlier attempt or run had made it, even if its file was deleted since. */
  found: boolean;
  files: number;
  bytes: number;
  seconds: number;
  device: string;
  metrics: Record<string, number>;
}

type ShardJob = Extract<Job, { kind: 'tokenizeShard' | 'sampleShard' | 'readFeaturesShard' | 'writeFeaturesBlock' | 'mapFeatures' | 'writeTexts' }>;

/** Makes a shard unless its receipt, number `receiptNumber`, says that it is complete. */
export async function runShardJob(deps: ActivityDeps, job: ShardJob, receiptNumber: number): Promise<ShardSummary> {
  const found = await readReceipt(deps.store, job.artifact, receiptNumber);
  return summarize(found ?? (await runJob(deps, job)), found !== null);
}

/** Makes a shard whose file is not there. `found` is true where it had been made before. */
export async function remakeShard(deps: ActivityDeps, job: Extract<Job, { kind: 'sampleShard' }>): Promise<ShardSummary> {
  const before = await readReceipt(deps.store, job.artifact, job.shard);
  return summarize(await runJob(deps, job), before !== null);
}

export function summarize({ shard, files, metrics, seconds, device }: Receipt, found: boolean): ShardSummary {
  return { shard, found, files: files.length, bytes: files.reduce((sum, file) => sum + file.bytes, 0), seconds, device, metrics };
}
