// Entry of a compute process whose jobs are small enough to see through: a "training" that counts in a file of the store,
// and shards that say by their number how they end. Served by the real jobServer.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { artifactPath } from '../../data/artifact.ts';
import { NotFoundError, type ArtifactStore } from '../../data/artifactStore.ts';
import { UserError } from '../../schemas/errors.ts';
import type { ArtifactId } from '../../schemas/stages.ts';
import { breathe, StoppedError, type JobContext } from '../../stages/context.ts';
import { serveJobs } from '../../workers/jobServer.ts';
import { shardKinds } from './testShards.ts';

serveJobs({
  needsTensors: (job) => job.kind === 'sampleShard',
  loadBackend: async () => ({ backend: 'pretend 1.0', device: 'gpu', threads: 3 }),
  async runJob(job, context) {
    switch (job.kind) {
      case 'trainTransformerSegment':
        return count(job.artifact, job.toStep, context);
      case 'tokenizeShard':
        return shard(job.shard);
      case 'sampleShard':
        return { shard: job.shard, files: [], metrics: {}, seconds: 0, device: context.device };
      default:
        throw new UserError(`no ${job.kind} here`, 'Ask for something else.');
    }
  },
});

/** One step every 5 ms, a checkpoint every 10 steps. */
async function count(id: ArtifactId, toStep: number, context: JobContext) {
  const path = artifactPath(id, 'work/step');
  let step = await readStep(context.store, path);
  const startedAt = step;
  let checkpointStep = step;
  const save = async () => {
    await context.store.put(path, Buffer.from(String(step)));
    checkpointStep = step;
  };
  while (step < toStep) {
    await sleep(5);
    step++;
    context.report({ done: step, total: toStep, unit: 'steps', metrics: { startedAt }, checkpointStep });
    await breathe();
    if (step % 10 === 0) await save();
    if (context.shouldStop()) {
      await save();
      throw new StoppedError();
    }
  }
  return { step, metrics: { startedAt } };
}

async function readStep(store: ArtifactStore, path: string): Promise<number> {
  try {
    return Number(Buffer.from(await store.get(path)).toString());
  } catch (error) {
    if (error instanceof NotFoundError) return 0;
    throw error;
  }
}

async function shard(number: number) {
  switch (number) {
    case shardKinds.userError:
      throw new UserError('corpus.txt:7 is damaged', 'Mend line 7.');
    case shardKinds.bug:
      throw new TypeError('undefined is not a tensor');
    case shardKinds.exits:
      console.error('about to give up');
      process.exit(7);
      break;
    case shardKinds.nonsense:
      return { not: 'a receipt' };
    case shardKinds.deaf: // A synchronous kernel that no message reaches.
      for (const endMs = performance.now() + 60_000; performance.now() < endMs; ) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  }
  return { shard: number, files: [], metrics: { pid: process.pid }, seconds: 0, device: 'cpu' };
}
