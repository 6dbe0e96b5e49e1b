// Schedules on a Temporal server: retraining is a Temporal Schedule whose action starts the workflow `pipeline`, so that
// Temporal's UI shows, triggers and pauses the same thing. The server's errors are told with the field they are about.
import { ScheduleAlreadyRunning, ScheduleNotFoundError, ServiceError, WorkflowNotFoundError, type Client, type ScheduleDescription, type ScheduleHandle, type ScheduleOptions, type ScheduleOverlapPolicy, type ScheduleSpec, type WorkflowStartOptions } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { configHash } from '../data/configHash.ts';
import { pipelineConfig, type PipelineConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { pipelineResult, taskQueues } from '../schemas/progress.ts';
import { explain } from './errors.ts';
import { overlapName } from './scheduleOptions.ts';

/** What a schedule is to be. */
export interface ScheduleRequest {
  name: string;
  config: PipelineConfig;
  /** Times: cron expressions, intervals, calendars, in a time zone (default UTC), each up to `jitter` later. */
  times: Pick<ScheduleSpec, 'cronExpressions' | 'intervals' | 'calendars' | 'timezone' | 'jitter'>;
  overlap: ScheduleOverlapPolicy;
  /** How late a run may still start after the server was down. */
  catchUpMs: number;
  pauseOnFailure: boolean;
  paused: boolean;
  note?: string;
}

/** A run that a schedule started. */
export interface ScheduledRun {
  workflowId: string;
  takenAt: Date;
  /** `running`, `completed`, …; `forgotten` when the server keeps it no more. */
  status: string;
  /** What came of it, in a sentence: what is new, or the failure. */
  outcome: string;
  closedAt?: Date;
}

const runKey = defineSearchAttributeKey('SaeflowRun', 'KEYWORD');
const hashKey = defineSearchAttributeKey('SaeflowConfigHash', 'KEYWORD');
const failedShardsKey = defineSearchAttributeKey('SaeflowFailedShards', 'INT');
const workflowType = 'pipeline';
const mostSchedules = 200;
const triggerMs = 20_000;
const lookMs = 200;

/**
 * Creates a schedule, or with `replace` gives the one of that name other times, policies and another configuration.
 *
 * @throws UserError when there is one of that name, when the server refuses the times, or when they never come.
 */
export async function createSchedule(client: Client, request: ScheduleRequest, { replace = false } = {}): Promise<ScheduleDescription> {
  const options = optionsOf(request);
  const handle = client.schedule.getHandle(request.name);
  const replaced = replace && (await exists(handle));
  try {
    if (replaced) {
      const { spec, action, policies, state, typedSearchAttributes } = options;
      await handle.update(() => ({ spec, action, ...(policies === undefined ? {} : { policies }), state: { ...state }, ...(typedSearchAttributes === undefined ? {} : { typedSearchAttributes }) }));
    } else await client.schedule.create(options);
  } catch (error) {
    throw refusalOf(error, request);
  }
  const description = await handle.describe();
  if (description.info.nextActionTimes.length > 0 || replaced) return description;
  await handle.delete();
  throw new UserError(`${timesText(request)}: no such time ever comes`, 'Check day and month: nothing was created.');
}

/** As its handle's describe. Throws UserError when there is no schedule of that name. */
export async function describeSchedule(client: Client, name: string): Promise<ScheduleDescription> {
  const description = await known(name, () => client.schedule.getHandle(name).describe());
  if (description.action.workflowType === workflowType) return description;
  throw new UserError(`the schedule "${name}" starts ${description.action.workflowType}, not saeflow's ${workflowType}`, 'Use the temporal command for schedules of other programs.');
}

/** All schedules that start `pipeline`, by name. */
export async function listSchedules(client: Client): Promise<ScheduleDescription[]> {
  const names: string[] = [];
  for await (const { scheduleId, action } of client.schedule.list()) {
    if (action?.workflowType === workflowType && names.push(scheduleId) === mostSchedules) break;
  }
  const found = await Promise.all(names.sort().map((name) => describeSchedule(client, name).catch(orDeleted)));
  return found.filter((description) => description !== undefined);
}

/** Starts a run now, as the schedule's own overlap policy has it. Returns what was started, or undefined if it was skipped or waits. */
export async function triggerSchedule(client: Client, name: string): Promise<string | undefined> {
  const before = await describeSchedule(client, name);
  const handle = client.schedule.getHandle(name);
  await handle.trigger(before.policies.overlap);
  for (const endMs = Date.now() + triggerMs; Date.now() < endMs; await sleep(lookMs)) {
    const { info } = await handle.describe();
    if (info.numActionsTaken > before.info.numActionsTaken) return info.recentActions.at(-1)?.action.workflow.workflowId;
    if (info.numActionsSkippedOverlap > before.info.numActionsSkippedOverlap) return undefined;
    if (overlapName(before.policies.overlap).startsWith('buffer') && info.runningActions.length > 0) return undefined;
  }
  throw new UserError(`the server did not say within ${triggerMs / 1_000} s whether "${name}" was started`, `See saeflow schedule show ${name}.`);
}

/** Takes the actions of a past stretch of time now. Throws UserError when it is empty or not past. */
export async function backfillSchedule(client: Client, name: string, { from, to, overlap }: { from: Date; to: Date; overlap?: ScheduleOverlapPolicy }): Promise<void> {
  if (from >= to) throw new UserError(`--from ${from.toISOString()} is not before --to ${to.toISOString()}`, 'Give the earlier time as --from.');
  if (to.getTime() > Date.now()) throw new UserError(`--to ${to.toISOString()} is not past`, 'Give a time up to now: what is still to come the schedule does by itself.');
  const { policies } = await describeSchedule(client, name);
  await client.schedule.getHandle(name).backfill({ start: from, end: to, overlap: overlap ?? policies.overlap });
}

/** Calls the schedule of that name. Throws UserError when there is none. */
export async function withSchedule<T>(client: Client, name: string, work: (handle: ScheduleHandle) => Promise<T>): Promise<T> {
  await describeSchedule(client, name);
  return known(name, () => work(client.schedule.getHandle(name)));
}

/** The last runs of a schedule, the newest first, and what came of each. */
export async function recentRuns(client: Client, { info }: Pick<ScheduleDescription, 'info'>, most: number): Promise<ScheduledRun[]> {
  const newest = info.recentActions.slice(-most).reverse();
  return Promise.all(newest.map(({ takenAt, action: { workflow } }) => runOf(client, workflow.workflowId, workflow.firstExecutionRunId, takenAt)));
}

/** The configuration that a schedule's runs are given; undefined when somebody replaced it by something else, such as a preset's name. */
export function configOf({ action }: Pick<ScheduleDescription, 'action'>): PipelineConfig | undefined {
  return pipelineConfig.safeParse(action.args?.[0]).data;
}

async function runOf(client: Client, workflowId: string, runId: string, takenAt: Date): Promise<ScheduledRun> {
  const handle = client.workflow.getHandle(workflowId, runId);
  try {
    const { status, closeTime, typedSearchAttributes } = await handle.describe();
    const run = { workflowId, takenAt, status: status.name.toLowerCase(), ...(closeTime === undefined ? {} : { closedAt: closeTime }) };
    if (status.name === 'RUNNING') {
      // It holds later runs up until somebody decides.
      const failed = typedSearchAttributes.get(failedShardsKey) ?? 0;
      return { ...run, outcome: failed === 0 ? '' : `waits for a decision about ${failed} failed shards (saeflow retry, skip or abort)` };
    }
    const outcome = await handle.result().then((result) => pipelineResult.safeParse(result).data?.changes?.summary ?? '', (error: unknown) => explain(error).message.split('\n', 1)[0]!);
    return { ...run, outcome };
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) throw error;
    return { workflowId, takenAt, status: 'forgotten', outcome: '' };
  }
}

function optionsOf({ name, config, times, overlap, catchUpMs, pauseOnFailure, paused, note }: ScheduleRequest): ScheduleOptions {
  const attributes: NonNullable<WorkflowStartOptions['typedSearchAttributes']> = [
    { key: runKey, value: config.name },
    { key: hashKey, value: configHash(config) },
  ];
  return {
    scheduleId: name,
    spec: times,
    action: {
      type: 'startWorkflow',
      workflowType,
      taskQueue: taskQueues.workflows,
      // The server appends the time at which the run was due.
      workflowId: `saeflow/${name}`,
      // All of it, not a preset's name: a preset may be another one after an upgrade.
      args: [config],
      typedSearchAttributes: attributes,
      memo: { saeflowSchedule: name },
      staticSummary: `saeflow schedule ${name}`,
    },
    policies: { overlap, catchupWindow: catchUpMs, pauseOnFailure },
    typedSearchAttributes: attributes,
    memo: { saeflowRun: config.name },
    state: { paused, ...(note === undefined ? {} : { note }) },
  };
}

function refusalOf(error: unknown, request: ScheduleRequest): unknown {
  const { name } = request;
  if (error instanceof ScheduleAlreadyRunning) return new UserError(`there is a schedule called "${name}" already`, `Add --replace to change it, delete it with saeflow schedule delete ${name}, or choose another name.`, { cause: error });
  if (error instanceof TypeError) return new UserError(`${timesText(request)}: ${error.message}`, 'Nothing was created. A cron expression has the fields minute, hour, day of month, month, day of week: "0 3 * * 1" is Monday at 3.', { cause: error });
  const details = error instanceof ServiceError ? detailsOf(error.cause) : undefined;
  if (details !== undefined && /search attribute/i.test(details)) return new UserError(`the server refused the schedule: ${details}`, 'Start saeflow worker once for this namespace: it registers the search attributes.', { cause: error });
  if (details !== undefined && !/UNAVAILABLE|DEADLINE/.test(String(error))) return new UserError(`the server refused the schedule: ${details}`, 'Nothing was created.', { cause: error });
  return error;
}

function timesText({ times: { cronExpressions = [], calendars = [], timezone } }: ScheduleRequest): string {
  const options = [...cronExpressions.map((cron) => `--cron "${cron}"`), ...calendars.map((calendar) => `--calendar '${JSON.stringify(calendar)}'`), ...(timezone === undefined ? [] : [`--time-zone ${timezone}`])];
  return options.join(' ') || 'the times';
}

function detailsOf(cause: unknown): string | undefined {
  if (typeof cause !== 'object' || cause === null || !('details' in cause)) return undefined;
  return typeof cause.details === 'string' && cause.details !== '' ? cause.details : undefined;
}

async function exists(handle: ScheduleHandle): Promise<boolean> {
  try {
    await handle.describe();
    return true;
  } catch (error) {
    if (error instanceof ScheduleNotFoundError) return false;
    throw error;
  }
}

async function known<T>(name: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw error;
    throw new UserError(`no schedule is called "${name}" on this Temporal server`, 'saeflow schedule list names those there are; saeflow schedule create makes one.', { cause: error });
  }
}

/** A list may still name what was deleted a moment ago. */
function orDeleted(error: unknown): undefined {
  if (error instanceof UserError) return undefined;
  throw error;
}
