// Runs on a Temporal server: started under an id that says what they make, and found again by id, name or recency.
import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import { WorkflowExecutionAlreadyStartedError, WorkflowFailedError, WorkflowNotFoundError, type Client, type WorkflowExecutionInfo } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { configHash, runWorkflowId } from '../data/configHash.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import { UserError } from '../schemas/errors.ts';
import { taskQueues, type StageInput } from '../schemas/progress.ts';
import { stageWorkflowId } from '../schemas/stages.ts';

/** A run's name by itself, or with the beginning of its hash: `demo`, `demo/1f2e3d4c5b6a`. */
export interface StartedRun {
  workflowId: string;
  runId: string;
  /** True when the same run was going on already. */
  attached: boolean;
}

export const runKey = defineSearchAttributeKey('SaeflowRun', 'KEYWORD');
export const stageKey = defineSearchAttributeKey('SaeflowStage', 'KEYWORD');
export const failedShardsKey = defineSearchAttributeKey('SaeflowFailedShards', 'INT');
const hashKey = defineSearchAttributeKey('SaeflowConfigHash', 'KEYWORD');
/** What a schedule calls its runs: its own name and the time they were due. */
const scheduledRun = /-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const listed = 200;
const reconnectMs = 1_000;

/**
 * Starts the pipeline for a configuration, or attaches to the run that is making the same.
 *
 * @example
 * const { workflowId } = await startRun(client, config); // saeflow/demo/1f2e3d4c5b6a
 */
export async function startRun(client: Client, config: PipelineConfig): Promise<StartedRun> {
  const workflowId = runWorkflowId(config);
  try {
    const handle = await client.workflow.start('pipeline', {
      workflowId,
      taskQueue: taskQueues.workflows,
      args: [config],
      workflowIdConflictPolicy: 'FAIL',
      workflowIdReusePolicy: 'ALLOW_DUPLICATE',
      priority: { priorityKey: config.execution.priority },
      typedSearchAttributes: [
        { key: runKey, value: config.name },
        { key: hashKey, value: configHash(config) },
      ],
      staticSummary: `saeflow run ${config.name}`,
    });
    return { workflowId, runId: handle.firstExecutionRunId, attached: false };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    const { runId } = await client.workflow.getHandle(workflowId).describe();
    return { workflowId, runId, attached: true };
  }
}

/** Starts the workflow of one stage, or attaches to the one that is making the same artifact. */
export async function startStage(client: Client, input: Pick<StageInput, 'run' | 'spec' | 'leaveOut'> & { execution: Partial<StageInput['execution']> }, key: string): Promise<StartedRun> {
  const { stage } = input.spec;
  const workflowId = stageWorkflowId(stage, key);
  const handle = await client.workflow.start(stage, {
    workflowId,
    taskQueue: taskQueues.workflows,
    args: [input],
    workflowIdConflictPolicy: 'USE_EXISTING',
    workflowIdReusePolicy: 'ALLOW_DUPLICATE',
    staticSummary: `${input.run}: ${stage}`,
  });
  return { workflowId, runId: handle.firstExecutionRunId, attached: false };
}

/**
 * Waits for a workflow's end, through restarts of the server; undefined once `signal` is aborted.
 *
 * @throws WorkflowFailedError when it failed or was cancelled.
 */
export async function resultOf<Result>(client: Client, { workflowId, runId }: { workflowId: string; runId?: string }, schema: z.ZodType<Result>, signal: AbortSignal): Promise<Result | undefined> {
  // gRPC adds a listener for each call, and a run's end is waited for by one long poll after another
  setMaxListeners(0, signal);
  while (!signal.aborted) {
    try {
      return schema.parse(await client.withAbortSignal(signal, () => client.workflow.getHandle(workflowId, runId).result()));
    } catch (error) {
      if (signal.aborted) return undefined;
      if (error instanceof WorkflowFailedError || !isAboutConnection(error)) throw error;
      await sleep(reconnectMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return undefined;
}

/** All runs, the newest first, at most 200. */
export async function listRuns(client: Client, name?: string): Promise<WorkflowExecutionInfo[]> {
  const query = `WorkflowType = 'pipeline'${name === undefined ? '' : ` AND SaeflowRun = '${name.replaceAll("'", '')}'`}`;
  const runs: WorkflowExecutionInfo[] = [];
  for await (const run of client.workflow.list({ query })) {
    if (runs.push(run) === listed) break;
  }
  return runs.sort((a, b) => b.startTime.getTime() - a.startTime.getTime());
}

/**
 * The workflow id of the run a person means: an id, `name/hash`, a name (its latest run), or nothing (the latest of all).
 *
 * @throws UserError when there is none.
 */
export async function findRun(client: Client, run?: string): Promise<string> {
  if (run?.startsWith('saeflow/') === true) return run;
  if (run !== undefined && (run.includes('/') || scheduledRun.test(run))) return `saeflow/${run}`;
  const [latest] = await listRuns(client, run);
  if (latest !== undefined) return latest.workflowId;
  // One that was started from Temporal's UI, under an id of someone's choice.
  if (run !== undefined && (await isPipeline(client, run))) return run;
  throw new UserError(run === undefined ? 'there are no runs on this Temporal server' : `no run is called "${run}" on this Temporal server`, 'Run saeflow ls to see the runs there are, or saeflow run to start one.');
}

async function isPipeline(client: Client, workflowId: string): Promise<boolean> {
  const description = await client.workflow.getHandle(workflowId).describe().catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  });
  return description?.type === 'pipeline';
}

/** True for what a server that is down or restarting does to a call; false for what a server answered. */
export function isAboutConnection(error: unknown): boolean {
  const text = error instanceof Error ? `${error.message} ${String(error.cause)}` : String(error);
  return /UNAVAILABLE|ECONNREFUSED|ECONNRESET|Connection dropped|DEADLINE_EXCEEDED|CANCELLED|GOAWAY|shutting down|No connection established/i.test(text);
}
