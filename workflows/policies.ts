// Queues, timeouts and retries of every activity, in one table by kind. A long activity always has a heartbeat timeout:
// it is how the loss of a worker, or of a task while the server restarts, is noticed at once.
import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';
import { taskQueues } from '../schemas/progress.ts';

/** Failures that a retry can't mend. */
const nonRetryableErrorTypes = ['UserError', 'InvalidInput'];
const backoff = { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute', nonRetryableErrorTypes };
/** Two missed beats of the compute process's parent; a killed worker's work starts again within about this. */
const heartbeatTimeout = '20 seconds';

export const policies = {
  /** Look-ups, plans, hashes of small things: outlasts a store or worker that is away for a quarter of an hour. */
  short: {
    taskQueue: taskQueues.cpu,
    startToCloseTimeout: '10 minutes',
    heartbeatTimeout,
    retry: { ...backoff, maximumAttempts: 20 },
  },
  /** Reads a corpus once, or all receipts of an artifact. */
  scan: {
    taskQueue: taskQueues.cpu,
    startToCloseTimeout: '12 hours',
    heartbeatTimeout,
    retry: { ...backoff, maximumAttempts: 20 },
  },
  /** A comparison with the run before: the run is done without it, so it may not hold it up for long. */
  comparison: {
    taskQueue: taskQueues.cpu,
    startToCloseTimeout: '2 hours',
    scheduleToCloseTimeout: '4 hours',
    heartbeatTimeout,
    retry: { ...backoff, maximumAttempts: 3 },
  },
  /** Questions to an endpoint at its pace; what was answered is never asked again. */
  labels: {
    taskQueue: taskQueues.cpu,
    startToCloseTimeout: '12 hours',
    heartbeatTimeout,
    retry: { ...backoff, maximumAttempts: 20 },
  },
  /** One shard; attempts come from execution.shardAttempts, after which it is parked. */
  cpuShard: { taskQueue: taskQueues.cpu, startToCloseTimeout: '6 hours', heartbeatTimeout, retry: backoff },
  gpuShard: { taskQueue: taskQueues.gpu, startToCloseTimeout: '6 hours', heartbeatTimeout, retry: backoff },
  /** Training between two milestones: every attempt goes on from the last checkpoint. */
  segment: {
    taskQueue: taskQueues.gpu,
    startToCloseTimeout: '24 hours',
    heartbeatTimeout,
    retry: { ...backoff, maximumAttempts: 20 },
    // A pause or cancellation is complete only when the checkpoint is written.
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  },
} as const satisfies Record<string, ActivityOptions>;

/** Options of an activity: its row of the table, its run's priority (1 is served first, 5 last) and what the UI calls it. */
export function atPriority(policy: ActivityOptions, priority: number, summary?: string): ActivityOptions {
  return { ...policy, priority: { priorityKey: priority }, ...(summary === undefined ? {} : { summary }) };
}

/** Partitions of one fan-out at most: tens of children, never thousands of activities, in a stage's history. */
export const maxPartitions = 32;
/** Shard activities in flight in one partition. */
export const lanesPerPartition = 16;

/** Signals of progress from each of a pipeline's `stages`, so that a sweep of a hundred SAEs keeps its history below 10,000 events. */
export function progressSignalsOf(stages: number): number {
  return Math.max(5, Math.min(50, Math.floor(1_200 / stages)));
}
