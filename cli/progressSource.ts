// What is known of a run right now: the pipeline's own progress, made finer by asking the stages at work and by reading
// the heartbeats of their activities from the server.
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { jobProgress, type JobProgress } from '../schemas/jobs.ts';
import { runProgress, stageProgress, type RunProgress, type StageProgress } from '../schemas/progress.ts';
import { refine } from './progressLines.ts';

/** A stage's finest progress, and what its activities fail with, if they do. */
export interface StageNow {
  progress: StageProgress;
  notes: string[];
  /** False between two activities, when only what was finished is known. */
  beating: boolean;
}

export interface RunNow {
  run: RunProgress;
  stages: StageNow[];
}

type Pending = NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>;

const deadlineMs = 8_000;
const mostPartitions = 8;
const longestNote = 200;
const mostFailures = 3;
const atWork: ReadonlySet<string> = new Set(['running', 'paused', 'blocked']);

/**
 * Asks a run, or a stage that was started alone, how far it is. Throws what the client throws when no worker or server answers.
 */
export async function readRun(client: Client, workflowId: string): Promise<RunNow> {
  return client.withDeadline(Date.now() + deadlineMs, async () => {
    const said = await client.workflow.getHandle(workflowId).query('progress');
    const alone = stageProgress.safeParse(said).data;
    const run = alone === undefined ? runProgress.parse(said) : { run: alone.stage, stages: [alone] };
    const stages = await Promise.all(run.stages.map((stage) => readStage(client, stage)));
    return { run, stages };
  });
}

/** What fails in a workflow that has no progress to tell yet, such as a corpus that is being looked for. */
export async function readNotes(client: Client, workflowId: string): Promise<string[]> {
  return client.withDeadline(Date.now() + deadlineMs, async () => notesOf(await pendingOf(client, workflowId, 0)));
}

async function readStage(client: Client, stage: StageProgress): Promise<StageNow> {
  const { workflowId } = stage;
  if (workflowId === undefined || !atWork.has(stage.state)) return { progress: stage, notes: [], beating: false };
  // A stage may end between the two questions; then the pipeline's word is as good as any.
  const own = await client.workflow.getHandle(workflowId).query('progress').catch(() => undefined);
  const current = stageProgress.safeParse(own).data ?? stage;
  const pending = await pendingOf(client, workflowId, mostPartitions).catch(() => []);
  const beats = await Promise.all(pending.map((activity) => decodeBeat(client, activity)));
  const heard = beats.filter((beat) => beat !== undefined);
  const progress = refine({ ...current, label: stage.label }, heard);
  return { progress, beating: heard.length > 0, notes: progress.state === 'blocked' ? await decisionNotes(client, workflowId) : notesOf(pending) };
}

/** Which shards failed with what, as the stage shows it in Temporal's UI, and what a person can say to it. */
async function decisionNotes(client: Client, workflowId: string): Promise<string[]> {
  const metadata: unknown = await client.workflow.getHandle(workflowId).query('__temporal_workflow_metadata').catch(() => undefined);
  const details = (metadata as { currentDetails?: string } | undefined)?.currentDetails ?? '';
  const failures = details.split('\n').filter((line) => line.startsWith('- ')).slice(0, mostFailures).map((line) => line.replaceAll('`', ''));
  return [...failures, 'waits for a decision, from another terminal: saeflow retry, skip or abort'];
}

/** Pending activities of a workflow and of at most `partitions` of its children. */
async function pendingOf(client: Client, workflowId: string, partitions: number): Promise<Pending> {
  const { raw } = await client.workflow.getHandle(workflowId).describe();
  const children = (raw.pendingChildren ?? []).slice(0, partitions).map(({ workflowId: child }) => child ?? '');
  const below = await Promise.all(children.map((child) => pendingOf(client, child, 0).catch(() => [])));
  return [...(raw.pendingActivities ?? []), ...below.flat()];
}

async function decodeBeat(client: Client, activity: Pending[number]): Promise<JobProgress | undefined> {
  const payloads = activity.heartbeatDetails?.payloads;
  if (!payloads || payloads.length === 0) return undefined;
  const [details] = await decodeArrayFromPayloads(client.options.loadedDataConverter, payloads).catch(() => []);
  return jobProgress.safeParse(details).data;
}

function notesOf(pending: Pending): string[] {
  // A worker that was shut down in good order is no trouble.
  const failing = pending.filter(({ lastFailure, attempt }) => (attempt ?? 1) > 1 && Boolean(lastFailure?.message) && lastFailure?.applicationFailureInfo?.type !== 'WorkerShutdown');
  const notes = failing.map(({ attempt, lastFailure, activityType }) => `${activityType?.name}, attempt ${attempt}: ${lastFailure!.message!.replace(/\s+/g, ' ').slice(0, longestNote)}`);
  return [...new Set(notes)].slice(0, 3);
}
