// A worker process for bench/fanout: the workflows as they are, or the flat peer, and activities of the same names that
// do nothing but answer. argv: {"address", "flat", "slots"}; tells its parent when it polls, ends when the parent goes.
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import { z } from 'zod';
import type { CpuActivities } from '../activities/cpu.ts';
import type { GpuActivities } from '../activities/gpu.ts';
import { specKey } from '../data/artifact.ts';
import { taskQueues } from '../schemas/progress.ts';
import { workflowBundle } from '../workers/workflowBundle.ts';

const { address, flat, slots } = z.strictObject({ address: z.string(), flat: z.boolean(), slots: z.int().positive() }).parse(JSON.parse(process.argv[2]!));

const answers: Pick<CpuActivities, 'planStage' | 'commitStage'> & Pick<GpuActivities, 'sampleShard'> = {
  async planStage(spec) {
    if (spec.stage !== 'sampleActivations') throw new Error(`the bench has no stage ${spec.stage}`);
    const { prompts, promptsPerShard } = spec.config.activations;
    return { key: specKey(spec), found: null, shards: prompts! / promptsPerShard, blocks: 0, milestones: [], resamplings: [] };
  },
  // as large as a real one's
  async sampleShard({ shard }) {
    return { shard, found: false, files: 1, bytes: 260_123_456, seconds: 61.234_567_89, device: 'gpu', metrics: { vectors: 250_000, overflows: 0, d: 512 } };
  },
  async commitStage({ artifact: { stage, key } }) {
    return { stage, key, uri: `/store/${stage}/${key}`, contentSha256: key, bytes: 1, files: 1, seconds: 1, gpuSeconds: 1, device: 'gpu', metrics: {} };
  },
};

Runtime.install({ logger: new DefaultLogger('ERROR') });
const connection = await NativeConnection.connect({ address });
const bundle = flat ? await bundleWorkflowCode({ workflowsPath: fileURLToPath(new URL('./fanoutFlat.ts', import.meta.url)), logger: new DefaultLogger('ERROR') }) : await workflowBundle();
const create = (taskQueue: string, options: Partial<WorkerOptions>) => Worker.create({ connection, taskQueue, ...options });
const workers = await Promise.all([
  create(taskQueues.workflows, { workflowBundle: bundle }),
  create(taskQueues.cpu, { activities: { ...answers } }),
  create(taskQueues.gpu, { activities: { ...answers }, maxConcurrentActivityTaskExecutions: slots }),
]);
const running = Promise.all(workers.map((worker) => worker.run()));
process.once('disconnect', () => {
  for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
});
process.send?.('polling');
await running;
await connection.close();
