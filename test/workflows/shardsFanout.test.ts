// The fan-out of bench/fanout at an eighth of its width, with the same limits, also when shards fail by the thousand.
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { runsOf, type WorkflowRun } from '../../bench/histories.ts';
import { retryFailedShardsUpdate } from '../../workflows/messages.ts';
import { freshSpec, idOf, startStage, untilState } from './fixtures.ts';
import { startTemporal } from './temporalEnvironment.ts';
import { withWorkers } from './testWorkers.ts';
import { World } from './world.ts';

const shards = 2_000;
let environment: TestWorkflowEnvironment;
let world: World;

beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(() => environment?.teardown());
beforeEach(() => {
  world = new World();
  world.plan.shards = shards;
});

async function historiesOf(workflowId: string): Promise<WorkflowRun[]> {
  const runs = [];
  for await (const run of runsOf(environment.client, workflowId)) runs.push(run);
  return runs;
}

function expectLimits(runs: readonly WorkflowRun[]): void {
  for (const { type, events, largestPayloadBytes } of runs) {
    expect(events, type).toBeLessThan(type === 'shardPartition' ? 3_000 : 10_000);
    expect(largestPayloadBytes, type).toBeLessThan(64 * 2 ** 10);
  }
}

it('2,000 shards run once each, in partitions that continue as new before 3,000 events', { timeout: 180_000 }, () =>
  withWorkers(environment, world, async () => {
    const spec = freshSpec('sampleActivations');
    await (await startStage(environment.client, spec, { concurrency: 20 })).result();
    expect(world.log.length).toBe(shards);
    expect(new Set(world.log).size).toBe(shards);
    const runs = await historiesOf(idOf(spec));
    expectLimits(runs);
    const partitions = runs.filter(({ type }) => type === 'shardPartition');
    expect(new Set(partitions.map(({ workflowId }) => workflowId)).size).toBe(2);
    expect(partitions.length).toBeGreaterThanOrEqual(4);
    expect(partitions.flatMap(({ activities }) => activities).length).toBe(shards);
  }));

it('every second one of 2,000 fails with a long error: parked, listed, retried, and no payload grows beyond 64 KiB', { timeout: 180_000 }, () =>
  withWorkers(environment, world, async () => {
    for (let shard = 0; shard < shards; shard += 2) world.failing.set(shard, `/store/${'a'.repeat(1_000)}/${shard} is corrupted. Put the file back.`);
    const spec = freshSpec('sampleActivations');
    const handle = await startStage(environment.client, spec, { concurrency: 20, shardAttempts: 1 });
    expect(await untilState(handle, 'blocked')).toMatchObject({ done: shards / 2, failedShards: shards / 2 });
    const details = JSON.stringify(await handle.query('__temporal_workflow_metadata'));
    expect(details).toContain('- shard 0: `/store/aaa');
    expect(details).toContain('/0 is corrupted. Put the file back.');
    expect(details).toContain('… and 980 more, whose errors are in the histories of the partitions (child workflows); all that are parked: 0, 2, 4, 6,');

    world.failing.clear();
    const before = world.log.length;
    expect((await handle.executeUpdate(retryFailedShardsUpdate, { args: [{}] })).length).toBe(shards / 2);
    await handle.result();
    expect(world.log.length - before).toBe(shards / 2);
    expectLimits(await historiesOf(idOf(spec)));
  }));
