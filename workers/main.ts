// A worker process, configured by environment variables, as containers and `saeflow worker` start it.
import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { pathToFileURL } from 'node:url';
import { Runtime } from '@temporalio/worker';
import { storeUriOf } from '../data/storeUri.ts';
import { executionConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { noBuild, taskQueues } from '../schemas/progress.ts';
import { codeBuildId } from './machine.ts';
import { workerLog } from './workerLog.ts';
import { startWorkers, type Queue, type WorkersOptions } from './worker.ts';

type Environment = Record<string, string | undefined>;

/**
 * What a worker process is to do: SAEFLOW_QUEUES (`workflows,cpu,gpu`), SAEFLOW_CPU_SLOTS, SAEFLOW_GPU_SLOTS,
 * SAEFLOW_THREADS, SAEFLOW_STORE, SAEFLOW_SILENCE_SECONDS (a compute process that reports nothing for so long is ended),
 * and SAEFLOW_BUILD_ID (`auto`: this clone's version and commit), which pins runs to the build that they began on.
 * Temporal's address and credentials come from its own profile.
 *
 * @throws UserError naming a variable whose value makes no sense.
 */
export function workersOptionsOf(env: Environment): WorkersOptions {
  const queues = (env['SAEFLOW_QUEUES'] || Object.keys(taskQueues).join(',')).split(',').map((name) => queueOf(name.trim()));
  const threads = countOf(env, 'SAEFLOW_THREADS');
  const buildId = env['SAEFLOW_BUILD_ID'] === 'auto' ? codeBuildId() : env['SAEFLOW_BUILD_ID'];
  if (buildId === noBuild) throw new UserError(`SAEFLOW_BUILD_ID (worker --build-id) is '${noBuild}', which stands for workers without a build id`, 'Give the build another name, or leave it out.');
  const silenceSeconds = countOf(env, 'SAEFLOW_SILENCE_SECONDS');
  return { ...(silenceSeconds === undefined ? {} : { silenceLimitMs: 1_000 * silenceSeconds }), ...(buildId ? { buildId } : {}), storeUri: storeUriOf(env), queues, cpuSlots: countOf(env, 'SAEFLOW_CPU_SLOTS') ?? defaultCpuSlots(), gpuSlots: countOf(env, 'SAEFLOW_GPU_SLOTS') ?? 1, ...(threads === undefined ? {} : { threads }) };
}

/** Tokenizing is one thread a shard; more slots than a run has shards in flight by default would only hold memory. */
function defaultCpuSlots(): number {
  return Math.min(availableParallelism(), executionConfig.parse({}).concurrency);
}

/** Works until a signal; returns when checkpoints are saved and all processes are gone. */
export async function runWorkerProcess(options: WorkersOptions): Promise<void> {
  Runtime.install({ logger: workerLog() });
  if (options.storeUri.startsWith('/')) await mkdir(options.storeUri, { recursive: true });
  const workers = await startWorkers(options);
  const build = options.buildId === undefined ? '' : `, build ${options.buildId} (new runs come once it is current: saeflow builds use ${options.buildId})`;
  console.error(`saeflow worker: serving ${options.queues.join(', ')}, store ${options.storeUri}${build}`);
  await workers.run();
}

function queueOf(name: string): Queue {
  if (Object.hasOwn(taskQueues, name)) return name as Queue;
  throw new UserError(`SAEFLOW_QUEUES names '${name}', which is no queue`, `Use any of ${Object.keys(taskQueues).join(', ')}, separated by commas.`);
}

function countOf(env: Environment, name: string): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new UserError(`${name} is '${text}', not a whole number from 1 up`, `Set ${name} to a number such as 2, or leave it out.`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    await runWorkerProcess(workersOptionsOf(process.env));
  } catch (error) {
    console.error(error instanceof UserError ? `${error.message}\n${error.remedy}` : error);
    process.exitCode = 1;
  }
}
