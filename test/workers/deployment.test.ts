// A run stays with the build that started it, whatever build is current later.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deploymentName, startWorkers, type Workers } from '../../workers/worker.ts';
import { freshSpec, startStage, until } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saeflow-deployment-'));
let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(async () => {
  await environment?.teardown();
  rmSync(scratch, { recursive: true, force: true });
});

async function serve(buildId: string): Promise<() => Promise<void>> {
  const workers: Workers = await startWorkers({
    connection: { address: environment.address },
    storeUri: scratch,
    queues: ['workflows', 'cpu'],
    computeEntry: resolve(import.meta.dirname, 'testCompute.ts'),
    buildId,
  });
  const running = workers.run();
  return async () => {
    workers.shutdown();
    await running;
  };
}

/** Makes a build the one that new runs start on, as `temporal worker deployment set-current-version` does. */
async function makeCurrent(buildId: string): Promise<void> {
  await until(async () =>
    environment.connection.workflowService
      .setWorkerDeploymentCurrentVersion({ namespace: 'default', deploymentName, buildId, ignoreMissingTaskQueues: true })
      .then(() => true, () => false),
  );
}

describe('a worker with a build id', () => {
  it('keeps a run that it started, and takes no new ones when another build is current', async () => {
    const stopOld = await serve('old');
    await makeCurrent('old');
    // A corpus nobody resolved: planning is retried, so the run goes on for as long as it is watched.
    const spec = freshSpec('tokenize');
    const first = await startStage(environment.client, spec);
    await until(async () => (await first.describe()).raw.pendingActivities?.length === 1);

    const stopNew = await serve('new');
    await makeCurrent('new');
    const second = await startStage(environment.client, freshSpec('tokenize'));
    await until(async () => (await second.describe()).raw.pendingActivities?.length === 1);
    const versionOf = async (handle: typeof first) => (await handle.describe()).raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId;
    expect([await versionOf(first), await versionOf(second)]).toEqual(['old', 'new']);
    await stopOld();
    await stopNew();
  });
});
