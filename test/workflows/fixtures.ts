// Inputs of the workflow tests, and ways to look at what runs.
import type { Client, WorkflowHandle } from '@temporalio/client';
import { specKey } from '../../data/artifact.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { ExecutionConfig } from '../../schemas/config.ts';
import { taskQueues, type RunProgress, type StageInput, type StageProgress, type StageResult } from '../../schemas/progress.ts';
import { stageWorkflowId, type StageName, type StageSpec } from '../../schemas/stages.ts';
import { pauseSignal } from '../../workflows/messages.ts';
import { activationsSpec, saeSpec, tokenizeSpec, transformerSpec } from '../../workflows/specs.ts';

const hash = (digit: string) => digit.repeat(64);
let nextSeed = 1_000;

/** A spec that no other test has: its artifact is not in any store and its workflow id is free. */
export function freshSpec(stage: 'tokenize' | 'trainTransformer' | 'sampleActivations' | 'trainSae'): StageSpec {
  const config = { ...resolveInput('tiny'), seed: nextSeed++ };
  switch (stage) {
    case 'tokenize':
      return tokenizeSpec({ ...config, tokenize: { ...config.tokenize, splitSeed: config.seed } }, hash('c'));
    case 'trainTransformer':
      return transformerSpec(config, { tokenize: hash('d') });
    case 'sampleActivations':
      return activationsSpec(config, config.saes[0]!.hook, { tokenize: hash('d'), trainTransformer: hash('f') });
    case 'trainSae':
      return saeSpec(config, config.saes[0]!, { sampleActivations: hash('e') });
  }
}

/** Starts a stage's workflow alone, as the UI's form does; if asked, paused before it does anything. */
export async function startStage(client: Client, spec: StageSpec, execution: Partial<ExecutionConfig> = {}, { paused = false } = {}): Promise<WorkflowHandle<(input: StageInput) => Promise<StageResult>>> {
  const input = { spec, execution: { concurrency: 8, shardAttempts: 2, ...execution } };
  const options = { workflowId: idOf(spec), taskQueue: taskQueues.workflows, args: [input as StageInput] as [StageInput] };
  if (!paused) return client.workflow.start<(input: StageInput) => Promise<StageResult>>(spec.stage, options);
  return client.workflow.signalWithStart<(input: StageInput) => Promise<StageResult>>(spec.stage, { ...options, signal: pauseSignal, signalArgs: [] });
}

export function idOf(spec: StageSpec): string {
  return stageWorkflowId(spec.stage, specKey(spec));
}

/** Polls a condition about what runs elsewhere. Gives up before vitest does (a test's limit is 60 s where it says nothing), so that workers are shut down in order. */
export async function until<T>(look: () => Promise<T | undefined | false>, limitMs = 45_000): Promise<T> {
  for (const endMs = performance.now() + limitMs; performance.now() < endMs; ) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`still not so after ${limitMs / 1_000} s: ${look}`);
}

/** The number that `count` comes to rest at: unchanged for half a second. */
export async function quiet(count: () => number): Promise<number> {
  for (let last = -1; ; ) {
    const now = count();
    if (now === last) return now;
    last = now;
    await new Promise((done) => setTimeout(done, 500));
  }
}

/** Waits for a state of a stage's workflow, by its own query. */
export async function untilState(handle: WorkflowHandle, state: StageProgress['state']): Promise<StageProgress> {
  return until(async () => {
    const progress = await handle.query<StageProgress>('progress').catch(() => undefined);
    return progress?.state === state && progress;
  });
}

/** The workflow that makes a stage of a run, once it has begun. */
export async function stageWorkflowOf(run: WorkflowHandle, stage: StageName): Promise<string> {
  return until(async () => {
    const { stages } = await run.query<RunProgress>('progress').catch(() => ({ stages: [] }));
    return stages.find((candidate) => candidate.stage === stage)?.workflowId;
  });
}

/** What a workflow waits for, with the newest heartbeat as JSON. Needs no worker. */
export async function pendingActivities(client: Client, workflowId: string): Promise<{ name: string; attempt: number; heartbeat: string; lastFailure: string }[]> {
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  return (raw.pendingActivities ?? []).map(({ activityType, attempt, heartbeatDetails, lastFailure }) => ({
    name: activityType?.name ?? '',
    attempt: attempt ?? 0,
    heartbeat: Buffer.from(heartbeatDetails?.payloads?.[0]?.data ?? []).toString(),
    lastFailure: lastFailure?.message ?? '',
  }));
}

/** Waits until an activity of a run's stage has saved a checkpoint, by its own heartbeat. */
export async function untilSaving(client: Client, run: WorkflowHandle, stage: StageName, activity: string): Promise<void> {
  const workflowId = await stageWorkflowOf(run, stage);
  await until(async () => (await pendingActivities(client, workflowId)).some(({ name, heartbeat }) => name === activity && heartbeat.includes('checkpointStep')));
}

/** Workflows of a type, newest first, as the list view has them. */
export async function listed(client: Client, query: string): Promise<{ workflowId: string; runId: string; status: string; historyLength: number }[]> {
  const found = [];
  for await (const { workflowId, runId, status, historyLength } of client.workflow.list({ query })) found.push({ workflowId, runId, status: status.name, historyLength });
  return found;
}

/** What the history shows as the results of activities, in order. */
export async function activityResults(handle: WorkflowHandle): Promise<unknown[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskCompletedEventAttributes: completed }) =>
    (completed?.result?.payloads ?? []).map(({ data }) => JSON.parse(Buffer.from(data ?? []).toString()) as unknown),
  );
}

/** Activities of a workflow's history that the UI can show only by their type's name. */
export async function withoutSummary(client: Client, workflowId: string): Promise<string[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled, userMetadata }) => (scheduled && !userMetadata?.summary ? [scheduled.activityType?.name ?? ''] : []));
}

/** Uniquely named inputs for `pipeline`, so that tests do not share artifacts. */
export function freshRun(name: string): { preset: 'tiny'; name: string; seed: number; tokenize: { splitSeed: number } } {
  const seed = nextSeed++;
  return { preset: 'tiny', name, seed, tokenize: { splitSeed: seed } };
}

