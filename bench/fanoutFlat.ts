// The peer of bench/fanout, as one would write it first: one workflow that keeps `lanes` activities going.
import { proxyActivities } from '@temporalio/workflow';
import type { GpuActivities } from '../activities/gpu.ts';
import { taskQueues } from '../schemas/progress.ts';
import type { ArtifactId } from '../schemas/stages.ts';

const { sampleShard } = proxyActivities<Pick<GpuActivities, 'sampleShard'>>({ taskQueue: taskQueues.gpu, startToCloseTimeout: '1 minute' });

export async function flat(artifact: ArtifactId, shards: number, lanes: number): Promise<number> {
  let next = 0;
  const lane = async () => {
    while (next < shards) await sampleShard({ artifact, shard: next++ });
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return shards;
}
