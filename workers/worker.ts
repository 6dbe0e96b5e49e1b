// Wires everything: connection, workflow code, activities, compute processes. One process can serve any of the three
// queues, so that a laptop runs one and a cluster runs as many of each as it likes.
import type { DataConverter } from '@temporalio/common';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection, Worker, type NativeConnectionOptions, type WorkerOptions } from '@temporalio/worker';
import { createCpuActivities } from '../activities/cpu.ts';
import type { ActivityDeps } from '../activities/deps.ts';
import { createGpuActivities } from '../activities/gpu.ts';
import { openStore } from '../data/artifactStore.ts';
import { deploymentName, taskQueues } from '../schemas/progress.ts';
import { ComputePool } from './computePool.ts';
import { describeMachine } from './machine.ts';
import { ensureSearchAttributes } from './searchAttributes.ts';
import { workflowBundle } from './workflowBundle.ts';

export type Queue = keyof typeof taskQueues;

export interface WorkersOptions {
  /** Default: Temporal's standard profile (environment variables TEMPORAL_*, or its TOML file). */
  connection?: NativeConnectionOptions;
  /** Default: the profile's, else `default`. */
  namespace?: string;
  storeUri: string;
  queues: readonly Queue[];
  /** Tokenizing processes; default 1. */
  cpuSlots?: number;
  /** Compute processes with tensors, one a GPU; default 1. */
  gpuSlots?: number;
  /** Threads of one tensor operation; default: the machine's, shared among the slots. */
  threads?: number;
  /** A compute process that reports no progress for this long is ended, and its job tried again; default: a quarter of an hour. */
  silenceLimitMs?: number;
  /** Folder at which relative corpus paths start; default: the current one. */
  cwd?: string;
  /** For encryption of payloads. */
  dataConverter?: DataConverter;
  /** Names the code of these workers: a run stays with workers of the build that started it (Worker Deployment `saeflow`, pinned). */
  buildId?: string;
  /** Module that serves jobs, for tests; default: compute.ts. */
  computeEntry?: string;
  /** Modules that export Temporal's workflow `interceptors`, for tracing or tests. */
  workflowInterceptorModules?: readonly string[];
}

export interface Workers {
  /** Works until `shutdown` or a signal (SIGTERM, SIGINT); then all processes are gone and the connection is closed. */
  run(): Promise<void>;
  /** Jobs save a checkpoint and are handed back; `run` then returns. */
  shutdown(): void;
}

/** Look-ups, plans and commits beside the tokenizing of the cpu queue: they must not wait for it. */
const lightActivities = 8;
const drainLimit = '2 minutes';

/**
 * Connects and creates a worker a queue.
 *
 * @throws UserError when the search attributes are missing and can't be registered; an error of the connection when
 * Temporal does not answer.
 * @example
 * const workers = await startWorkers({ storeUri: '/data/store', queues: ['workflows', 'cpu', 'gpu'] });
 * await workers.run();
 */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const profile = options.connection === undefined ? loadClientConnectConfig() : undefined;
  const connection = await NativeConnection.connect(options.connection ?? profile?.connectionOptions ?? {});
  const namespace = options.namespace ?? profile?.namespace ?? 'default';
  const pools: ComputePool[] = [];
  const close = async () => {
    await Promise.all(pools.map((pool) => pool.close()));
    await connection.close();
  };
  try {
    await ensureSearchAttributes(connection, namespace);
    const workers: Worker[] = [];
    for (const queue of new Set(options.queues)) {
      workers.push(await Worker.create({ ...common(connection, namespace, options), taskQueue: taskQueues[queue], ...(await role(queue, options, pools)) }));
    }
    return runnable(workers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

function common(connection: NativeConnection, namespace: string, { dataConverter, buildId }: WorkersOptions) {
  return {
    connection,
    namespace,
    ...(dataConverter === undefined ? {} : { dataConverter }),
    ...(buildId === undefined ? {} : { workerDeploymentOptions: { version: { deploymentName, buildId }, useWorkerVersioning: true, defaultVersioningBehavior: 'PINNED' } }),
    // Progress is shown within two seconds; by default only at 80 % of the heartbeat timeout.
    maxHeartbeatThrottleInterval: '2 seconds',
    defaultHeartbeatThrottleInterval: '500 milliseconds',
    // On shutdown activities are cancelled at once, and given time to save a checkpoint.
    shutdownGraceTime: 0,
    shutdownForceTime: drainLimit,
  } satisfies Partial<WorkerOptions>;
}

async function role(queue: Queue, options: WorkersOptions, pools: ComputePool[]): Promise<Partial<WorkerOptions>> {
  const { cpuSlots = 1, gpuSlots = 1, dataConverter, workflowInterceptorModules } = options;
  switch (queue) {
    case 'workflows':
      return { workflowBundle: await workflowBundle(dataConverter?.payloadConverterPath, workflowInterceptorModules) };
    case 'cpu':
      // A comparison of two SAEs is the only one with tensors: it leaves the GPU to the queue of that name.
      return { activities: createCpuActivities(depsOf(options, cpuSlots, pools, { ...process.env, CUDA_VISIBLE_DEVICES: '-1' })), maxConcurrentActivityTaskExecutions: cpuSlots + lightActivities };
    case 'gpu':
      return { activities: createGpuActivities(depsOf(options, gpuSlots, pools)), maxConcurrentActivityTaskExecutions: gpuSlots };
  }
}

function depsOf({ storeUri, threads, computeEntry, silenceLimitMs, cwd = process.cwd() }: WorkersOptions, slots: number, pools: ComputePool[], env: Record<string, string | undefined> = process.env): ActivityDeps {
  const compute = new ComputePool({ slots, env, ...(threads === undefined ? {} : { threads }), ...(computeEntry === undefined ? {} : { entry: computeEntry }), ...(silenceLimitMs === undefined ? {} : { silenceLimitMs }) });
  pools.push(compute);
  return { store: openStore(storeUri), compute, machine: describeMachine(), cwd };
}

function runnable(workers: readonly Worker[], close: () => Promise<void>): Workers {
  const shutdown = () => {
    for (const worker of workers) {
      if (worker.getState() === 'RUNNING') worker.shutdown();
    }
  };
  const runOne = async (worker: Worker) => {
    try {
      await worker.run();
    } finally {
      shutdown(); // One that fails takes the others with it: half a process would look healthy.
    }
  };
  return {
    shutdown,
    async run() {
      const results = await Promise.allSettled(workers.map(runOne));
      await close();
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    },
  };
}
