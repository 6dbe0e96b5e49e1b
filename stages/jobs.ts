// What a compute process can do: one handler a kind of job. Handlers are idempotent: what the store already holds is
// answered, not made again. Each handler is loaded when it is needed: tokenizing needs no tensors.
import { readReceipt, writeReceipt } from '../data/artifact.ts';
import { CountedStore, trafficOf } from '../data/countedStore.ts';
import { receiptOfPresent, requireSameAgain } from '../data/shardFiles.ts';
import type { Receipt } from '../schemas/artifact.ts';
import type { Job } from '../schemas/jobs.ts';
import type { JobContext } from './context.ts';

/** Carries a job out. Throws UserError where a retry can't help, StoppedError when told to stop. */
export async function runJob(job: Job, { store, device, ...signals }: JobContext): Promise<unknown> {
  return runCounted(job, { store: new CountedStore(store), device, ...signals });
}

async function runCounted(job: Job, context: JobContext): Promise<unknown> {
  const { artifact } = job;
  switch (job.kind) {
    case 'tokenizeShard':
      return receipted(job, context, job.shard, async () => (await import('./tokenizeShard.ts')).tokenizeShard(artifact, job.shard, context));
    case 'sampleShard':
      return (job.again ? remade : receipted)(job, context, job.shard, async () => (await import('./sampleShard.ts')).sampleShard(artifact, job.shard, context));
    case 'readFeaturesShard':
      return receipted(job, context, job.shard, async () => (await import('./readFeatures.ts')).readFeaturesShard(artifact, job.shard, context));
    case 'writeFeaturesBlock': // its receipt's number depends on the plan, which the handler knows
      return writeOnce(job, context, await (await import('./writeFeatures.ts')).writeFeaturesBlock(artifact, job.block, context));
    case 'mapFeatures': // likewise
      return writeOnce(job, context, await (await import('./mapFeatures.ts')).mapFeatures(artifact, context));
    case 'writeTexts':
      return receipted(job, context, job.shard, async () => (await import('./writeTexts.ts')).writeTexts(artifact, job.shard, context));
    case 'trainTransformerSegment':
      return (await import('./trainTransformer.ts')).trainTransformerSegment(artifact, job.toStep, context);
    case 'initialiseSae':
      return (await import('./trainSae.ts')).initialiseSae(artifact, context, job.supplied);
    case 'trainSaeSegment':
      return (await import('./trainSae.ts')).trainSaeSegment(artifact, job.toStep, context, job.stopAt);
    case 'resampleSae':
      return (await import('./trainSae.ts')).resampleSae(artifact, job.step, context, job.supplied);
    case 'compareSaes':
      return (await import('./compareSaes.ts')).compareSaes({ before: job.before, after: artifact.key }, context);
  }
}

async function receipted(job: Job, context: JobContext, shard: number, make: () => Promise<Receipt>): Promise<Receipt> {
  return (await readReceipt(context.store, job.artifact, shard)) ?? writeOnce(job, context, await make());
}

/** A shard whose file may have been deleted since: answered when it is there, else made, and checked if it was made before. */
async function remade(job: Job, context: JobContext, shard: number, make: () => Promise<Receipt>): Promise<Receipt> {
  const { store } = context;
  const present = await receiptOfPresent(store, job.artifact, shard);
  if (present !== null) return present;
  const before = await readReceipt(store, job.artifact, shard);
  const again = await make();
  if (before === null) return writeOnce(job, context, again);
  await requireSameAgain(store, job.artifact, before, again);
  return before;
}

async function writeOnce({ artifact }: Job, { store }: JobContext, made: Receipt): Promise<Receipt> {
  const receipt = { ...made, ...trafficOf(store) };
  await writeReceipt(store, artifact, receipt);
  return receipt;
}
