// `saeflow worker`: works for the server of this folder, or the one TEMPORAL_ADDRESS names, until a signal.
import { Command } from 'commander';
import { taskQueues } from '../../schemas/progress.ts';
import { findTemporal } from '../../setup/temporal.ts';
import { requireTemporal } from '../connection.ts';
import { register, registered, unregister } from '../state.ts';
import { addExamples, addStoreOption, toCount } from './options.ts';

interface Options {
  queues?: string;
  cpuSlots?: number;
  gpuSlots?: number;
  threads?: number;
  buildId?: string;
  store?: string;
}

export function workerCommand(): Command {
  const command = new Command('worker')
    .description('work for a Temporal server until a signal; checkpoints are saved before it ends')
    .option('--queues <list>', 'any of workflows,cpu,gpu (default: all)')
    .option('--cpu-slots <n>', 'tokenizing processes (default: one a core, 4 at most)', toCount)
    .option('--gpu-slots <n>', 'compute processes, one a GPU (default: 1)', toCount)
    .option('--threads <n>', "threads of one tensor operation (default: the machine's, shared among slots)", toCount)
    .option('--build-id <id>', 'pin runs to the build they begin on, this one once saeflow builds use makes it current; auto: version and commit of this clone (default: not pinned)');
  addStoreOption(command);
  addExamples(command, 'worker', 'worker --queues gpu --gpu-slots 8 --store s3://bucket/saeflow', 'worker --build-id auto');
  return command.action(async ({ queues, cpuSlots, gpuSlots, threads, buildId, store }: Options) => {
    const given = { SAEFLOW_QUEUES: queues, SAEFLOW_CPU_SLOTS: cpuSlots, SAEFLOW_GPU_SLOTS: gpuSlots, SAEFLOW_THREADS: threads, SAEFLOW_BUILD_ID: buildId, SAEFLOW_STORE: store };
    for (const [name, value] of Object.entries(given)) if (value !== undefined) process.env[name] = String(value);
    // Loaded here: Temporal's native core would slow every other command down.
    const { runWorkerProcess, workersOptionsOf } = await import('../../workers/main.ts');
    const options = workersOptionsOf(process.env);
    if ((await findTemporal())?.kind !== 'address') {
      const temporal = await requireTemporal();
      await temporal.close();
      process.env['TEMPORAL_ADDRESS'] = temporal.address;
      process.env['TEMPORAL_NAMESPACE'] = temporal.namespace;
    }
    // Runs of this folder then use this worker instead of starting one.
    const shared = options.queues.length === Object.keys(taskQueues).length && registered('worker') === undefined;
    if (shared) register('worker', { pid: process.pid, commandLine: 'worker', storeUri: options.storeUri, owner: process.pid });
    try {
      await runWorkerProcess(options);
    } finally {
      if (shared) unregister('worker', process.pid);
    }
  });
}
