// Workers of all three queues in the test's process: the real workflow code, the activities of a world.
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { Worker } from '@temporalio/worker';
import { taskQueues } from '../../schemas/progress.ts';
import { workflowBundle } from '../../workers/workflowBundle.ts';
import type { World } from './world.ts';

/** Serves `world` while `work` runs; the gpu queue with `gpuSlots` activities at once. */
export async function withWorkers<T>({ nativeConnection, namespace }: Pick<TestWorkflowEnvironment, 'nativeConnection' | 'namespace'>, world: Pick<World, 'activities'>, work: () => Promise<T>, gpuSlots = 100): Promise<T> {
  const common = { connection: nativeConnection, ...(namespace === undefined ? {} : { namespace }) };
  const activities = { ...world.activities() };
  const throttle = { maxHeartbeatThrottleInterval: 100, defaultHeartbeatThrottleInterval: 100 };
  const workers = await Promise.all([
    Worker.create({ ...common, taskQueue: taskQueues.workflows, workflowBundle: await workflowBundle() }),
    Worker.create({ ...common, ...throttle, taskQueue: taskQueues.cpu, activities }),
    Worker.create({ ...common, ...throttle, taskQueue: taskQueues.gpu, activities, maxConcurrentActivityTaskExecutions: gpuSlots }),
  ]);
  const running = Promise.all(workers.map((worker) => worker.run()));
  try {
    return await Promise.race([work(), running.then(() => Promise.reject(new Error('the workers ended by themselves')))]);
  } finally {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
    await running;
  }
}
