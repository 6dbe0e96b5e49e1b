// What a job is given beside its message: a way to say how far it is, and to learn that it should stop.
import type { JobProgress } from '../schemas/jobs.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';

export interface JobContext {
  readonly store: ArtifactStore;
  /** Device the tensors are on, for receipts. */
  readonly device: string;
  report(progress: JobProgress): void;
  /** True once the process was told to stop: checkpoint at this step boundary and throw StoppedError. */
  shouldStop(): boolean;
}

/** Thrown by a job that was told to stop, after it saved what it had. */
export class StoppedError extends Error {
  override readonly name = 'StoppedError';
  constructor() {
    super('stopped on request after saving a checkpoint');
  }
}

/** Lets messages arrive between two synchronous steps; throws StoppedError when told to stop and there is nothing to save. */
export async function breathe(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}
