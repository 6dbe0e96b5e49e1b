// Builds of saeflow's workers as the server knows them: versions of one Worker Deployment. A run stays with the build that
// it began on; new ones go to the current build.
import type { Client } from '@temporalio/client';
import { UserError } from '../schemas/errors.ts';
import { deploymentName, noBuild } from '../schemas/progress.ts';

export interface Build {
  buildId: string;
  /** `draining`: open runs are pinned to it, `drained`: none is, so its workers can be ended. */
  state: 'current' | 'ramping' | 'draining' | 'drained' | 'not used yet';
  openWorkflows: number;
  createdAt: Date;
}

/** temporal.api.enums.v1.WorkerDeploymentVersionStatus */
const states: Record<number, Build['state']> = { 1: 'not used yet', 2: 'current', 3: 'ramping', 4: 'draining', 5: 'drained' };
/** temporal.api.workflow.v1.VersioningOverride.PinnedOverrideBehavior */
const pinnedBehavior = 1;
const notFound = 5;

/** The builds of which workers ever polled, the newest first. */
export async function listBuilds({ workflowService, workflow, options }: Client): Promise<Build[]> {
  const { namespace } = options;
  const { workerDeploymentInfo } = await workflowService.describeWorkerDeployment({ namespace, deploymentName }).catch((error: unknown) => {
    if ((error as { code?: number }).code === notFound) return { workerDeploymentInfo: null };
    throw error;
  });
  const current = workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId;
  const builds: Build[] = [];
  for (const { deploymentVersion, status, createTime } of workerDeploymentInfo?.versionSummaries ?? []) {
    const buildId = deploymentVersion?.buildId ?? '';
    const { count } = await workflow.count(`ExecutionStatus = 'Running' AND TemporalWorkerDeploymentVersion = '${deploymentName}:${buildId}'`);
    const state = buildId === current ? 'current' : (states[status ?? 0] ?? 'not used yet');
    builds.push({ buildId, state, openWorkflows: count, createdAt: new Date(Number(createTime?.seconds ?? 0) * 1_000) });
  }
  return builds.sort((a, b) => b.createdAt.getTime() - a.createdAt.getTime());
}

/**
 * Makes new runs begin on `buildId`, or with {@link noBuild} on workers without a build id; those that go on stay where
 * they are.
 *
 * @throws UserError when no worker of that build polls
 */
export async function useBuild({ workflowService, options }: Client, buildId: string): Promise<void> {
  try {
    await workflowService.setWorkerDeploymentCurrentVersion({ namespace: options.namespace, deploymentName, ...(buildId === noBuild ? { version: '__unversioned__' } : { buildId }), ignoreMissingTaskQueues: true });
  } catch (error) {
    throw new UserError(`the server does not take ${buildId} as the current build: ${detailsOf(error)}`, buildId === noBuild ? 'Start a worker without a build id first: saeflow worker.' : `Start a worker of that build first: saeflow worker --build-id ${buildId}. saeflow builds lists those there are.`, { cause: error });
  }
}

/**
 * Moves open workflows to another build, whose code must replay their histories (saeflow replay tells). Returns their ids.
 *
 * @throws UserError when there is no such build
 */
export async function moveToBuild({ workflowService, workflow, options }: Client, workflowIds: readonly string[], buildId: string): Promise<void> {
  for (const workflowId of workflowIds) {
    const { runId } = await workflow.getHandle(workflowId).describe();
    try {
      await workflowService.updateWorkflowExecutionOptions({
        namespace: options.namespace,
        workflowExecution: { workflowId, runId },
        workflowExecutionOptions: { versioningOverride: { pinned: { behavior: pinnedBehavior, version: { deploymentName, buildId } } } },
        updateMask: { paths: ['versioning_override'] },
      });
    } catch (error) {
      throw new UserError(`${workflowId} can't be moved to build ${buildId}: ${detailsOf(error)}`, 'saeflow builds lists the builds there are; a worker of it must have polled once.', { cause: error });
    }
  }
}

/** A workflow and all open ones that it started, directly or not. */
export async function openFamily(client: Client, workflowId: string): Promise<string[]> {
  const { raw, status } = await client.workflow.getHandle(workflowId).describe();
  if (status.name !== 'RUNNING') return [];
  const children = (raw.pendingChildren ?? []).flatMap(({ workflowId: child }) => child ?? []);
  return [workflowId, ...(await Promise.all(children.map((child) => openFamily(client, child)))).flat()];
}

function detailsOf(error: unknown): string {
  return (error as { details?: string }).details ?? (error instanceof Error ? error.message : String(error));
}
