// The fan-out of a stage on a real Temporal server: parked shards and a person's updates, pauses, long lists of shards.
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { taskQueues } from '../../schemas/progress.ts';
import { resumeSignal, pauseSignal, abortUpdate, retryFailedShardsUpdate, skipFailedShardsUpdate } from '../../workflows/messages.ts';
import { freshSpec, idOf, listed, quiet, startStage, until, untilState } from './fixtures.ts';
import { startTemporal } from './temporalEnvironment.ts';
import { withWorkers } from './testWorkers.ts';
import { World } from './world.ts';

let environment: TestWorkflowEnvironment;
let world: World;

beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(() => environment?.teardown());
beforeEach(() => {
  world = new World();
});

const run = (work: () => Promise<void>) => withWorkers(environment, world, work);
const refusal = async (update: Promise<unknown>) => {
  const error: unknown = await update.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
  return (error as WorkflowUpdateFailedError).cause?.message;
};

describe('a stage of shards', () => {
  it('parks a shard that fails all its attempts, finishes the other 199, and after retryFailedShards runs only the parked one', () =>
    run(async () => {
      world.plan.shards = 200;
      world.failing.set(37, 'line 7 is not UTF-8');
      const { client } = environment;
      const spec = freshSpec('tokenize');
      const handle = await startStage(client, spec);

      const progress = await untilState(handle, 'blocked');
      expect(progress).toMatchObject({ stage: 'tokenize', done: 199, total: 200, unit: 'shards', failedShards: 1 });
      expect(world.attempts.get('tokenizeShard/37')).toBe(2);
      await until(async () => (await listed(client, `SaeflowFailedShards > 0 AND WorkflowId = '${idOf(spec)}' AND SaeflowStage = 'tokenize'`)).length === 1);
      const details = JSON.stringify(await handle.query('__temporal_workflow_metadata'));
      expect(details).toContain('line 7 is not UTF-8');
      expect(details).toContain('retryFailedShards');

      expect(await refusal(handle.executeUpdate(retryFailedShardsUpdate, { args: [{ shards: [3, 37] }] }))).toBe('not parked: shard 3; parked are 37');
      expect(await refusal(handle.executeUpdate(retryFailedShardsUpdate, { args: [{ shards: [] }] }))).toContain('shards: Too small');

      world.failing.clear();
      expect(await handle.executeUpdate(retryFailedShardsUpdate, { args: [{}] })).toEqual([37]);
      const { artifact, cached } = await handle.result();
      expect({ cached, stage: artifact.stage }).toEqual({ cached: false, stage: 'tokenize' });
      expect([...world.attempts.values()].reduce((sum, count) => sum + count, 0)).toBe(199 + 2 + 1);
      expect(world.commits).toMatchObject([{ shards: 200, skippedShards: [] }]);
      expect(await handle.query('progress')).toMatchObject({ state: 'done', failedShards: 0 });
      await until(async () => (await listed(client, `SaeflowFailedShards = 0 AND WorkflowId = '${idOf(spec)}'`)).length === 1);
    }));

  it('leaves out from the start what its input names: a repair makes again what there was', () =>
    run(async () => {
      world.plan.shards = 10;
      const spec = freshSpec('tokenize');
      const input = { spec, leaveOut: [3, 7], execution: { onShardFailure: 'fail' } };
      const handle = await environment.client.workflow.start('tokenize', { workflowId: idOf(spec), taskQueue: taskQueues.workflows, args: [input] });
      await handle.result();
      expect([...world.attempts.keys()].map((name) => Number(name.split('/')[1])).sort()).toEqual([0, 1, 2, 4, 5, 6, 8, 9]);
      expect(world.commits).toMatchObject([{ shards: 10, skippedShards: [3, 7] }]);
    }));

  it('refuses to skip below minShardFraction, naming the numbers, and skips down to it', () =>
    run(async () => {
      world.plan.shards = 10;
      for (const shard of [2, 5, 8]) world.failing.set(shard, 'no such file');
      const handle = await startStage(environment.client, freshSpec('tokenize'), { minShardFraction: 0.8 });
      await untilState(handle, 'blocked');

      expect(await refusal(handle.executeUpdate(skipFailedShardsUpdate, { args: [{}] }))).toContain('skipping 3 shards would leave 7 of 10, less than execution.minShardFraction 0.8');
      expect(await handle.executeUpdate(skipFailedShardsUpdate, { args: [{ shards: [8, 2] }] })).toEqual([2, 8]);
      expect(await untilState(handle, 'blocked')).toMatchObject({ failedShards: 1 });
      expect(await refusal(handle.executeUpdate(skipFailedShardsUpdate, { args: [{ shards: [5] }] }))).toContain('would leave 7 of 10');

      world.failing.clear();
      await handle.executeUpdate('retryFailedShards');
      await handle.result();
      expect(world.commits).toMatchObject([{ skippedShards: [2, 8] }]);
    }));

  it('can be given up by abort, which says how much was missing', () =>
    run(async () => {
      world.failing.set(1, 'gone');
      const handle = await startStage(environment.client, freshSpec('tokenize'));
      await untilState(handle, 'blocked');
      await handle.executeUpdate(abortUpdate, { args: ['the disk is lost'] });
      await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'Aborted', message: 'aborted with 1 of 4 shards parked: the disk is lost' } });
      expect(await handle.query('progress')).toMatchObject({ state: 'aborted' });
      expect(world.commits).toEqual([]);
    }));

  it('refuses updates while nothing waits for a decision', () =>
    run(async () => {
      world.shardMs = 300;
      const handle = await startStage(environment.client, freshSpec('tokenize'));
      await untilState(handle, 'running');
      expect(await refusal(handle.executeUpdate(retryFailedShardsUpdate, { args: [{}] }))).toContain('does not wait for a decision');
      await handle.result();
    }));

  it('with onShardFailure fail starts no more shards and fails with the first error', () =>
    run(async () => {
      world.plan.shards = 1_000;
      world.shardMs = 20;
      world.failing.set(3, 'shard 3 is bad');
      const handle = await startStage(environment.client, freshSpec('tokenize'), { onShardFailure: 'fail', shardAttempts: 1 });
      await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'ShardsFailed', message: '1 of 1000 shards failed; the first, 3: shard 3 is bad' } });
      expect(world.attempts.size).toBeLessThan(500);
    }));

  it('with onShardFailure skip leaves few failed shards out by itself', () =>
    run(async () => {
      world.plan.shards = 20;
      world.failing.set(19, 'bad');
      const handle = await startStage(environment.client, freshSpec('tokenize'), { onShardFailure: 'skip', shardAttempts: 1, minShardFraction: 0.95 });
      await handle.result();
      expect(world.commits).toMatchObject([{ shards: 20, skippedShards: [19] }]);
    }));

  it('pauses by starting no more shards, lets those in flight finish, and goes on after the resume', () =>
    run(async () => {
      world.plan.shards = 40;
      world.shardMs = 50;
      const handle = await startStage(environment.client, freshSpec('tokenize'), { concurrency: 2 });
      await until(async () => world.log.length >= 4);
      await handle.signal(pauseSignal);
      await untilState(handle, 'paused');
      const done = await quiet(() => world.log.length);
      expect(done).toBeLessThan(40);
      expect(await handle.query('progress')).toMatchObject({ state: 'paused' });

      await handle.signal(resumeSignal);
      await handle.result();
      expect(new Set(world.log).size).toBe(40);
      expect(world.log.length).toBe(40);
    }));

  it('never has more than `concurrency` shards in flight, and deals 40 lanes to 3 partitions', () =>
    run(async () => {
      world.plan.shards = 300;
      world.shardMs = 20;
      const spec = freshSpec('tokenize');
      const handle = await startStage(environment.client, spec, { concurrency: 40 });
      await handle.result();
      expect(world.mostInFlight).toBeLessThanOrEqual(40);
      expect(world.log.length).toBe(300);
      expect(new Set(world.log).size).toBe(300);
      expect((await listed(environment.client, `WorkflowType = 'shardPartition' AND WorkflowId STARTS_WITH '${idOf(spec)}'`)).length).toBe(3);
    }));

  it('keeps histories short: a partition of 1,000 shards continues as new before 3,000 events, and its stage sees only the sum', () =>
    run(async () => {
      world.plan.shards = 1_000;
      world.failing.set(5, 'bad');
      const { client } = environment;
      const spec = freshSpec('tokenize');
      const handle = await startStage(client, spec, { shardAttempts: 1 });
      expect(await untilState(handle, 'blocked')).toMatchObject({ done: 999, failedShards: 1 });
      const partition = `${idOf(spec)}/tokenizeShard-0`;
      const [last, ...earlier] = await until(async () => {
        const found = await listed(client, `WorkflowId = '${partition}'`);
        return found.length > 1 && found.every(({ status }) => status !== 'RUNNING') && found;
      });
      expect(last?.status).toBe('COMPLETED');
      for (const { status } of earlier) expect(status).toBe('CONTINUED_AS_NEW');
      for (const { historyLength } of [last!, ...earlier]) expect(historyLength).toBeLessThan(3_000);
      expect((await handle.describe()).historyLength).toBeLessThan(400);

      world.failing.clear();
      await handle.executeUpdate(retryFailedShardsUpdate, { args: [{}] });
      await handle.result();
    }));
});
