// The workflows as they are, but for how long a lost worker goes unnoticed: 20 seconds in earnest would make most of the
// time of a run with many kills. Loaded into the workflow sandbox by chaos/worker.ts.
import type { WorkflowInterceptors } from '@temporalio/workflow';

const heartbeatTimeout = '6 seconds';

export const interceptors = (): WorkflowInterceptors => ({
  outbound: [{ scheduleActivity: (input, next) => next({ ...input, options: { ...input.options, heartbeatTimeout } }) }],
});
