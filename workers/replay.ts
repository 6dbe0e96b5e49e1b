// Replays a workflow's history against the workflow code of this clone: it must issue the very commands that the history
// records. Says where it does not, by replaying ever shorter beginnings of the history.
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { DefaultLogger, makeTelemetryFilterString, Runtime, Worker } from '@temporalio/worker';
import { workflowBundle } from './workflowBundle.ts';

/** What a replay came to. */
export interface Replayed {
  workflowId: string;
  workflowType: string;
  events: number;
  /** Absent when every command is the recorded one. */
  difference?: Difference;
}

export interface Difference {
  message: string;
  /** Ids of the events the code does not lead to: what followed the last workflow task that still agrees, up to the next. */
  fromEvent: number;
  toEvent: number;
  /** Their types, for a person. */
  eventTypes: string[];
}

type Event = NonNullable<History['events']>[number];

/** Before anything else of the SDK: it would log each difference, with stacks, each time that it meets it. */
export function quietRuntime(): void {
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR' }) } } });
}

/** Replays `history` and finds where it differs, if it does. Runs nothing: activities are answered from the history. */
export async function replayHistory(history: History): Promise<Replayed> {
  const events = history.events ?? [];
  const started = events[0]?.workflowExecutionStartedEventAttributes;
  const workflowId = started?.workflowId ?? 'unknown';
  const common = { workflowId, workflowType: started?.workflowType?.name ?? 'unknown', events: events.length };
  const message = await problemOf(events, workflowId);
  return message === undefined ? common : { ...common, difference: await locate(events, workflowId, message) };
}

/** Why a (beginning of a) history does not replay; undefined when it does. */
async function problemOf(events: Event[], workflowId: string): Promise<string | undefined> {
  const bundle = await workflowBundle();
  try {
    await Worker.runReplayHistory({ workflowBundle: bundle }, { events }, workflowId);
    return undefined;
  } catch (error) {
    if (error instanceof Error && (error.name === 'DeterminismViolationError' || error.name === 'ReplayError')) return error.message;
    throw error;
  }
}

/** The shortest beginning that does not replay ends where the difference is. Beginnings end when a workflow task starts. */
async function locate(events: Event[], workflowId: string, message: string): Promise<Difference> {
  const ends = events.flatMap(({ workflowTaskStartedEventAttributes: attributes }, index) => (attributes ? [index + 1] : []));
  if (ends.at(-1) !== events.length) ends.push(events.length);
  let [good, bad] = [-1, ends.length - 1];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if ((await problemOf(events.slice(0, ends[middle]), workflowId)) === undefined) good = middle;
    else bad = middle;
  }
  const range = events.slice(good < 0 ? 0 : ends[good], ends[bad]);
  const types = range.map((event) => typeOf(event));
  return { message, fromEvent: idOf(range[0]), toEvent: idOf(range.at(-1)), eventTypes: types };
}

function idOf(event: Event | undefined): number {
  return Number(event?.eventId ?? 0);
}

/** `activityTaskScheduled trainSaeSegment` */
function typeOf(event: Event): string {
  const attributes = Object.keys(event).find((name) => name.endsWith('EventAttributes') && event[name as keyof Event]) ?? '';
  const { activityTaskScheduledEventAttributes: activity, startChildWorkflowExecutionInitiatedEventAttributes: child } = event;
  const name = activity?.activityType?.name ?? child?.workflowType?.name;
  return [attributes.replace(/EventAttributes$/, ''), name].filter(Boolean).join(' ');
}
