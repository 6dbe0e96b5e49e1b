// What activities are given: the store, and someone who carries jobs out in a compute process. Workers wire the real ones.
import type { ArtifactStore } from '../data/artifactStore.ts';
import type { Job, JobKind, JobProgress, JobResult } from '../schemas/jobs.ts';

/** Carries jobs out; each in one of a fixed number of compute processes. */
export interface Compute {
  /**
   * @throws UserError when a retry can't help; an error named StoppedError after `signal` was aborted and what was done
   * is saved; an error named ComputeProcessDied when the process ended.
   */
  run<Kind extends JobKind>(job: Extract<Job, { kind: Kind }>, options: { signal: AbortSignal; onProgress(progress: JobProgress): void }): Promise<JobResult<Kind>>;
  /** Where the tensors of the last job were, for provenance. */
  backend(): { backend: string; device: string; threads: number };
}

export interface Machine {
  codeVersion: string;
  machine: string;
}

export interface ActivityDeps {
  store: ArtifactStore;
  compute: Compute;
  machine: Machine;
  /** Relative corpus paths start here. */
  cwd: string;
}
