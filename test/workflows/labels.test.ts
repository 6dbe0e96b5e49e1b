// The workflow of labels: batches one after another with what was spent, its end at the budget, and its input checked.
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startLabels, labelsResult } from '../../cli/labelRuns.ts';
import { labelConfig } from '../../schemas/labels.ts';
import { taskQueues } from '../../schemas/progress.ts';
import { startTemporal } from './temporalEnvironment.ts';
import { withWorkers } from './testWorkers.ts';
import { World } from './world.ts';

let environment: TestWorkflowEnvironment;
beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(() => environment?.teardown());

const config = labelConfig.parse({ endpoint: 'http://127.0.0.1:9/v1', model: 'm' });
const features = Array.from({ length: 40 }, (_, feature) => feature);

it('goes through the features in batches, hands on what was spent, and stops at the budget', async () => {
  const world = new World();
  const { client } = environment;
  await withWorkers(environment, world, async () => {
    const all = await startLabels(client, { dashboard: 'a'.repeat(64), features, config });
    expect(await labelsResult(client, all, new AbortController().signal)).toEqual({ labelled: 40, skipped: 0, spent: { requests: 120, inputTokens: 0, outputTokens: 0 }, budgetReached: false, labelsUri: `labels/${'a'.repeat(64)}.json` });
    expect(world.log.filter((line) => line.startsWith('labelBatch'))).toHaveLength(3);
    world.labelRequests = 50;
    const some = await startLabels(client, { dashboard: 'b'.repeat(64), features, config });
    expect(await labelsResult(client, some, new AbortController().signal)).toMatchObject({ labelled: 32, budgetReached: true });
    const wrong = client.workflow.execute('labelFeatures', { workflowId: 'wrong', taskQueue: taskQueues.workflows, args: [{ dashboard: 'a'.repeat(64), features: [] }] });
    await expect(wrong).rejects.toMatchObject({ cause: { type: 'InvalidInput' } });
  });
});
