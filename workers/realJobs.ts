// The jobs of stages/, on the backend of tensorflow.ts. Both are loaded when first needed, so that a process which only
// tokenizes stays small.
import type { JobServer } from './jobServer.ts';

export const realJobs: JobServer = {
  needsTensors: (job) => job.kind !== 'tokenizeShard',
  async loadBackend() {
    const { loadBackend } = await import('./tensorflow.ts');
    const { name, tensorflowVersion, device, threads, sae } = await loadBackend();
    return { backend: `${name} ${tensorflowVersion}, SAEs on ${sae}`, device, threads };
  },
  async runJob(job, context) {
    const { runJob } = await import('../stages/jobs.ts');
    return runJob(job, context);
  },
};
