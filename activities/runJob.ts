// One job in a compute process, as an activity: progress becomes heartbeats, cancellation becomes a request to save and
// stop, and who computed it is noted for the manifest.
import { Context } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { jobResults, type Job, type JobKind, type JobResult } from '../schemas/jobs.ts';
import { whileBeating } from './beat.ts';
import { noteComputer } from './computer.ts';
import type { ActivityDeps } from './deps.ts';

/**
 * Carries `job` out and returns its checked result.
 *
 * @throws CancelledFailure when the workflow cancelled it, ApplicationFailure `WorkerShutdown` (retried elsewhere) when
 * this worker is shutting down; in both cases after a checkpoint.
 */
export async function runJob<Kind extends JobKind>(deps: ActivityDeps, job: Extract<Job, { kind: Kind }>): Promise<JobResult<Kind>> {
  const { cancellationSignal } = Context.current();
  return whileBeating(async (note) => {
    try {
      const result = await deps.compute.run<Kind>(job, { signal: cancellationSignal, onProgress: note });
      // A comparison is no part of the artifact it is about.
      if (job.kind !== 'compareSaes') await noteComputer(deps, job.artifact);
      return jobResults[job.kind].parse(result) as JobResult<Kind>;
    } catch (error) {
      if (!cancellationSignal.aborted) throw error;
      const { reason } = cancellationSignal as { reason: unknown };
      const why = reason instanceof Error ? reason.message : String(reason);
      if (why === 'WORKER_SHUTDOWN') throw ApplicationFailure.retryable('the worker is shutting down; what was done is saved', 'WorkerShutdown');
      throw new CancelledFailure(why);
    }
  });
}
