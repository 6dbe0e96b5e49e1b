// What `saeflow ls` knows of each run and artifact: from the server's list and the runs' own word, or from the store alone.
import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import { readManifest } from '../data/artifact.ts';
import { openStore } from '../data/artifactStore.ts';
import { runProgress, type RunProgress, type StageProgress } from '../schemas/progress.ts';
import { artifactId, type StageName } from '../schemas/stages.ts';
import { alignTable, formatBytes, formatDuration } from '../schemas/format.ts';
import { stageTitle } from './progressLines.ts';
import { listReports } from './reports.ts';
import { failedShardsKey, listRuns, runKey, stageKey } from './runs.ts';

/** One line of `ls`; with --json as it is. */
export interface ListedRun {
  workflowId: string;
  /** Its name: the newest of a name is what commands mean by it. */
  run: string;
  /** As Temporal has it, but `paused` and `blocked` (it waits for a decision) are told apart from `running`. */
  state: string;
  /** The stage at work, '' when none is. */
  stage: string;
  /** Of that stage; null when it is not known. */
  percent: number | null;
  failedShards: number;
  /** ISO 8601. */
  startedAt: string | null;
  seconds: number | null;
}

export interface ListedArtifact {
  stage: StageName;
  key: string;
  bytes: number;
  files: number;
  createdAt: string;
  seconds: number;
  device: string;
  skippedShards: number;
}

const answerMs = 5_000;
const mostAsked = 20;
const telling: readonly StageProgress['state'][] = ['blocked', 'paused', 'running'];

/** Runs that a server knows, the newest first. Those at work are asked how far they are, if a worker answers. */
export async function runsOfServer(client: Client): Promise<ListedRun[]> {
  const runs = await listRuns(client);
  let asked = 0;
  return Promise.all(runs.map(async (run) => listedRun(run, run.status.name === 'RUNNING' && asked++ < mostAsked ? await askProgress(client, run.workflowId) : undefined)));
}

/** Finished runs that a store knows, the newest first. */
export async function runsOfStore(uri: string): Promise<ListedRun[]> {
  const reports = await listReports(openStore(uri));
  return reports.map(({ report: { run, configHash }, writtenAt }) => ({ workflowId: `saeflow/${run}/${configHash.slice(0, 12)}`, run, state: 'completed', stage: '', percent: null, failedShards: 0, startedAt: writtenAt?.toISOString() ?? null, seconds: null }));
}

/** Finished artifacts of a store, the newest first. */
export async function artifactsOfStore(uri: string): Promise<ListedArtifact[]> {
  const store = openStore(uri);
  const ids = (await store.list('')).flatMap(({ path }) => {
    const [stage, key, file, ...deeper] = path.split('/');
    const id = artifactId.safeParse({ stage, key });
    return file === 'manifest.json' && deeper.length === 0 && id.success ? [id.data] : [];
  });
  const manifests = await Promise.all(ids.map((id) => readManifest(store, id)));
  return manifests
    .filter((manifest) => manifest !== null)
    .map(({ stage, key, bytes, files, shards, provenance: { createdAt, seconds, device } }) => ({ stage, key, bytes, files: files.length, createdAt, seconds, device, skippedShards: shards.skipped.length }))
    .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
}

/** Runs as a table, a line each. */
export function runTable(runs: readonly ListedRun[]): string[] {
  const rows = runs.map(({ workflowId, run, state, stage, percent, failedShards, startedAt, seconds }) => [
    workflowId.replace(/^saeflow\//, ''),
    run,
    state,
    stage,
    percent === null ? '' : `${percent} %`,
    failedShards === 0 ? '' : String(failedShards),
    startedAt === null ? '' : minute(startedAt),
    seconds === null ? '' : formatDuration(seconds),
  ]);
  return alignTable([['run', 'name', 'state', 'stage', 'done', 'failed shards', 'started (UTC)', 'took'], ...rows], [4, 5, 7]);
}

/** Artifacts as a table, a line each. */
export function artifactTable(artifacts: readonly ListedArtifact[]): string[] {
  const rows = artifacts.map(({ stage, key, bytes, files, createdAt, seconds, device, skippedShards }) => [`${stage}/${key.slice(0, 12)}`, formatBytes(bytes), String(files), formatDuration(seconds), device, minute(createdAt), skippedShards === 0 ? '' : String(skippedShards)]);
  return alignTable([['artifact', 'size', 'files', 'computing', 'device', 'made (UTC)', 'skipped shards'], ...rows], [1, 2, 3, 6]);
}

function listedRun({ workflowId, status, startTime, closeTime, typedSearchAttributes }: WorkflowExecutionInfo, progress: RunProgress | undefined): ListedRun {
  const running = status.name === 'RUNNING';
  const current = telling.map((state) => progress?.stages.find((stage) => stage.state === state)).find((stage) => stage !== undefined);
  const failedShards = running ? (typedSearchAttributes.get(failedShardsKey) ?? 0) : 0;
  return {
    workflowId,
    run: typedSearchAttributes.get(runKey) ?? '',
    state: running && current !== undefined ? current.state : status.name.toLowerCase(),
    stage: !running ? '' : current === undefined ? (typedSearchAttributes.get(stageKey) ?? '') : stageTitle(current),
    percent: current === undefined || current.total === 0 ? null : Math.floor((100 * current.done) / current.total),
    failedShards: current?.failedShards ?? failedShards,
    startedAt: startTime.toISOString(),
    seconds: ((closeTime?.getTime() ?? Date.now()) - startTime.getTime()) / 1_000,
  };
}

async function askProgress(client: Client, workflowId: string): Promise<RunProgress | undefined> {
  const answer: unknown = await client.withDeadline(Date.now() + answerMs, () => client.workflow.getHandle(workflowId).query('progress')).catch(() => undefined);
  return runProgress.safeParse(answer).data;
}

function minute(iso: string): string {
  return iso.slice(0, 16).replace('T', ' ');
}
