// What a compute process can do: one handler a kind of job. Handlers are idempotent: what the store already holds is
// answered, not made again.
import { readReceipt, writeReceipt } from '../data/artifact.ts';
import type { Receipt } from '../schemas/artifact.ts';
import type { Job } from '../schemas/jobs.ts';
import type { JobContext } from './context.ts';
import { readFeaturesShard } from './readFeatures.ts';
import { sampleShard } from './sampleShard.ts';
import { tokenizeShard } from './tokenizeShard.ts';
import { initialiseSae, resampleSae, trainSaeSegment } from './trainSae.ts';
import { trainTransformerSegment } from './trainTransformer.ts';
import { writeFeaturesBlock } from './writeFeatures.ts';

/** Carries a job out. Throws UserError where a retry can't help, StoppedError when told to stop. */
export async function runJob(job: Job, context: JobContext): Promise<unknown> {
  const { artifact } = job;
  switch (job.kind) {
    case 'tokenizeShard':
      return receipted(job, context, job.shard, () => tokenizeShard(artifact, job.shard, context));
    case 'sampleShard':
      return receipted(job, context, job.shard, () => sampleShard(artifact, job.shard, context));
    case 'readFeaturesShard':
      return receipted(job, context, job.shard, () => readFeaturesShard(artifact, job.shard, context));
    case 'writeFeaturesBlock': // its receipt's number depends on the plan, which the handler knows
      return writeOnce(job, context, await writeFeaturesBlock(artifact, job.block, context));
    case 'trainTransformerSegment':
      return trainTransformerSegment(artifact, job.toStep, context);
    case 'initialiseSae':
      return initialiseSae(artifact, context);
    case 'trainSaeSegment':
      return trainSaeSegment(artifact, job.toStep, context);
    case 'resampleSae':
      return resampleSae(artifact, job.step, context);
  }
}

async function receipted(job: Job, context: JobContext, shard: number, make: () => Promise<Receipt>): Promise<Receipt> {
  return (await readReceipt(context.store, job.artifact, shard)) ?? writeOnce(job, context, await make());
}

async function writeOnce({ artifact }: Job, { store }: JobContext, receipt: Receipt): Promise<Receipt> {
  await writeReceipt(store, artifact, receipt);
  return receipt;
}
