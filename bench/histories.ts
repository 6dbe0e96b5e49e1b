// What a finished workflow left behind on its Temporal server: its own history, those of its children, and those it
// continued as; how long they are, and when activities were executing.
import type { Client } from '@temporalio/client';
import type { Interval } from './intervals.ts';

/** One run of one workflow. */
export interface WorkflowRun {
  workflowId: string;
  runId: string;
  type: string;
  events: number;
  /** As the server counts them. */
  bytes: number;
  largestPayloadBytes: number;
  /** First to last event. */
  span: Interval;
  /** When a worker took its first task. */
  takenMs: number;
  activities: Activity[];
}

export interface Activity extends Interval {
  type: string;
  /** 1 unless it was tried again: earlier attempts leave no times in a history. */
  attempt: number;
}

type History = Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>;
type Event = NonNullable<History['events']>[number];

/** All runs of a workflow from `runId` on (default: its latest run), each followed by its children. */
export async function* runsOf(client: Client, workflowId: string, runId?: string): AsyncGenerator<WorkflowRun> {
  const handle = client.workflow.getHandle(workflowId, runId);
  const description = await handle.describe();
  const { events } = await handle.fetchHistory();
  if (!events?.length) throw new Error(`${workflowId} has no history`);
  yield {
    workflowId,
    runId: description.runId,
    type: description.type,
    events: events.length,
    bytes: description.historySize ?? 0,
    largestPayloadBytes: largestBytes(events),
    span: { fromMs: timeOf(events[0]!), toMs: timeOf(events.at(-1)!) },
    takenMs: timeOf(events.find(({ workflowTaskStartedEventAttributes: started }) => started) ?? events[0]!),
    activities: activitiesOf(events),
  };
  for (const { childWorkflowExecutionStartedEventAttributes: child, workflowExecutionContinuedAsNewEventAttributes: continued } of events) {
    const { workflowId: childId, runId: childRun } = child?.workflowExecution ?? {};
    if (childId && childRun) yield* runsOf(client, childId, childRun);
    if (continued?.newExecutionRunId) yield* runsOf(client, workflowId, continued.newExecutionRunId);
  }
}

function activitiesOf(events: readonly Event[]): Activity[] {
  const byId = new Map(events.map((event) => [Number(event.eventId), event]));
  return events.flatMap((event) => {
    const ended = event.activityTaskCompletedEventAttributes ?? event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes ?? event.activityTaskCanceledEventAttributes;
    const scheduled = byId.get(Number(ended?.scheduledEventId))?.activityTaskScheduledEventAttributes;
    const started = byId.get(Number(ended?.startedEventId));
    if (!scheduled || !started) return [];
    return [{ type: scheduled.activityType?.name ?? '', attempt: started.activityTaskStartedEventAttributes?.attempt ?? 1, fromMs: timeOf(started), toMs: timeOf(event) }];
  });
}

function timeOf({ eventTime }: Event): number {
  return 1_000 * Number(eventTime?.seconds ?? 0) + (eventTime?.nanos ?? 0) / 1e6;
}

/** Bytes are found in payloads only. */
function largestBytes(value: unknown): number {
  if (value instanceof Uint8Array) return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  let largest = 0;
  for (const part of Object.values(value)) largest = Math.max(largest, largestBytes(part));
  return largest;
}
