// The histories of a run, as the server keeps them: the workflow's own, through every continue-as-new, and those of the
// stages and partitions it started.
import type { Client } from '@temporalio/client';
import type { History } from '@temporalio/common/lib/proto-utils.js';

export interface FetchedHistory {
  workflowId: string;
  runId: string;
  history: History;
}

/** Parents before children. Each history is fetched when it is asked for: those of a large run do not fit memory together. */
export async function* historiesOf(client: Client, workflowId: string, { children = true }: { children?: boolean } = {}): AsyncGenerator<FetchedHistory> {
  const newest = await client.workflow.getHandle(workflowId).fetchHistory();
  const firstRunId = newest.events?.[0]?.workflowExecutionStartedEventAttributes?.firstExecutionRunId ?? '';
  const pending = [{ workflowId, runId: firstRunId }];
  const seen = new Set<string>();
  for (let next = pending.shift(); next !== undefined; next = pending.shift()) {
    if (seen.has(next.runId)) continue;
    seen.add(next.runId);
    const history = await client.workflow.getHandle(next.workflowId, next.runId).fetchHistory();
    yield { ...next, history };
    for (const { childWorkflowExecutionStartedEventAttributes: started, workflowExecutionContinuedAsNewEventAttributes: continued } of history.events ?? []) {
      if (continued?.newExecutionRunId) pending.unshift({ workflowId: next.workflowId, runId: continued.newExecutionRunId });
      const child = started?.workflowExecution;
      if (children && child?.workflowId && child.runId) pending.push({ workflowId: child.workflowId, runId: child.runId });
    }
  }
}
