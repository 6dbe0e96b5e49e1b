// Activations that are made while SAEs read them, on a real Temporal server with one slot for all that computes: nobody
// waits in it for shards, the window holds, and pauses, failures and trainings that vanish hold nobody up for ever.
import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { taskQueues, type PipelineResult, type RunProgress } from '../../schemas/progress.ts';
import { pauseSignal, resumeSignal, retryFailedShardsUpdate, runProgressQuery } from '../../workflows/messages.ts';
import { freshRun, listed, stageWorkflowOf, until, withoutSummary } from './fixtures.ts';
import { startTemporal } from './temporalEnvironment.ts';
import { withWorkers } from './testWorkers.ts';
import { World } from './world.ts';

type Pipeline = (input?: unknown) => Promise<PipelineResult>;

let environment: TestWorkflowEnvironment;
let world: World;
let started = 0;

beforeAll(async () => {
  environment = await startTemporal();
}, 600_000);
afterAll(() => environment?.teardown());
beforeEach(() => {
  world = new World();
  Object.assign(world.plan, { shards: 6, milestones: [15, 40, 60], resamplings: [40] });
  world.windowShards = 3;
});

const run = (work: () => Promise<void>) => withWorkers(environment, world, work, 1);
const fast = { timeout: 60_000 };
const start = (input: object): Promise<WorkflowHandle<Pipeline>> =>
  environment.client.workflow.start<Pipeline>('pipeline', { workflowId: `supply-${++started}`, taskQueue: taskQueues.workflows, args: [{ ...input, activations: { retention: 'consume' } }] });
const rowOf = async (handle: WorkflowHandle<Pipeline>, stage: string) => (await handle.query<RunProgress>(runProgressQuery)).stages.find((row) => row.stage === stage)!;
const made = () => world.log.filter((entry) => entry.startsWith('supplyShard'));
const supplyOf = async (handle: WorkflowHandle<Pipeline>) => environment.client.workflow.getHandle(`saeflow/supplyActivations/${(await rowOf(handle, 'sampleActivations')).key!.slice(0, 12)}`);

describe('activations that are consumed', () => {
  it('are made in the order of reading, each once, at most a window of them, and finished after the SAE', fast, () =>
    run(async () => {
      const handle = await start({ ...freshRun('one'), execution: { concurrency: 1 } });
      const { stages } = await handle.result();
      expect(stages.map(({ artifact }) => artifact.stage)).toEqual(['tokenize', 'trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard']);
      expect(made()).toEqual([0, 1, 2, 3, 4, 5].map((shard) => `supplyShard/${shard}`));
      const segments = world.log.filter((entry) => /Sae/.test(entry));
      expect(segments).toEqual(['initialiseSae', 'trainSaeSegment 10', 'trainSaeSegment 15', 'trainSaeSegment 20', 'trainSaeSegment 30', 'trainSaeSegment 40', 'resampleSae 40', 'trainSaeSegment 50', 'trainSaeSegment 60']);
      expect(world.mostPresent).toBeLessThanOrEqual(3);
      expect(world.log.indexOf('trainSaeSegment 60')).toBeLessThan(world.log.findIndex((entry) => entry.startsWith('sampleShard')));
      await until(async () => world.present.size === 0);
      const supply = await supplyOf(handle);
      expect(await withoutSummary(environment.client, supply.workflowId)).toEqual([]);
      expect(await withoutSummary(environment.client, `saeflow/trainSae/${stages[3]!.artifact.key.slice(0, 12)}`)).toEqual([]);
    }));

  it('show both stages at work', fast, () =>
    run(async () => {
      world.stepMs = 30;
      const handle = await start(freshRun('both'));
      await until(async () => (await rowOf(handle, 'sampleActivations')).state === 'running' && (await rowOf(handle, 'trainSae')).done > 0);
      expect(await rowOf(handle, 'sampleActivations')).toMatchObject({ total: 6, unit: 'shards', workflowId: (await supplyOf(handle)).workflowId });
      await handle.result();
      expect(await rowOf(handle, 'sampleActivations')).toMatchObject({ state: 'done' });
    }));

  it('are shared by the SAEs of a hook, which stay together', fast, () =>
    run(async () => {
      const handle = await start({ ...freshRun('sweep'), saes: [{ name: 'a' }, { name: 'b', l1Coefficient: 1e-2 }, { name: 'c', l1Coefficient: 2e-2 }] });
      await handle.result();
      expect(made()).toHaveLength(6);
      expect(world.mostPresent).toBeLessThanOrEqual(3);
      expect(world.log.filter((entry) => entry === 'trainSaeSegment 60')).toHaveLength(3);
    }));

  it('wait while the run is paused, and go on', fast, () =>
    run(async () => {
      world.stepMs = 20;
      const handle = await start(freshRun('pause'));
      await until(async () => (await rowOf(handle, 'trainSae')).done >= 10);
      await handle.signal(pauseSignal);
      await until(async () => (await rowOf(handle, 'trainSae')).state === 'paused');
      world.present.clear(); // as if somebody had tidied up meanwhile
      await handle.signal(resumeSignal);
      await handle.result();
      expect(world.log.filter((entry) => entry === 'trainSaeSegment 60')).toHaveLength(1);
    }));

  it('that can not be made wait for a person, in sight', fast, () =>
    run(async () => {
      world.failing.set(3, 'no such model');
      world.failingActivity = 'supplyShard';
      const handle = await start({ ...freshRun('parked'), execution: { shardAttempts: 1 } });
      await until(async () => (await rowOf(handle, 'sampleActivations')).state === 'blocked');
      expect(await rowOf(handle, 'sampleActivations')).toMatchObject({ failedShards: 1 });
      const supply = environment.client.workflow.getHandle(await stageWorkflowOf(handle, 'sampleActivations'));
      world.failing.clear();
      expect(await supply.executeUpdate(retryFailedShardsUpdate, { args: [{}] })).toEqual([3]);
      await handle.result();
      expect(made()).toHaveLength(6);
    }));

  it('that can not be made fail the run where the configuration says so', fast, () =>
    run(async () => {
      world.failing.set(3, 'no such model');
      world.failingActivity = 'supplyShard';
      const handle = await start({ ...freshRun('failing'), execution: { shardAttempts: 1, onShardFailure: 'fail' } });
      const error = (await handle.result().catch((reason: unknown) => reason)) as WorkflowFailedError;
      expect(JSON.stringify(error.cause, ['message', 'cause'])).toMatch(/activations can't be had: ShardsFailed: 1 of 6 shards failed; the first, 3: .*no such model/);
    }));

  it('are given back by an SAE whose training is cancelled, and end with the last one', { timeout: 120_000 }, () =>
    run(async () => {
      world.stepMs = 30;
      const handle = await start(freshRun('cancelled'));
      await until(async () => (await rowOf(handle, 'trainSae')).done >= 10);
      const supply = await supplyOf(handle);
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow();
      await supply.result();
      expect(world.present.size).toBe(0);
    }));

  it('are not held by a training that was terminated', { timeout: 180_000 }, () =>
    run(async () => {
      world.stepMs = 10;
      const handle = await start({ ...freshRun('terminated'), saes: [{ name: 'a' }, { name: 'b', l1Coefficient: 1e-2 }] });
      const victim = await until(async () => (await handle.query<RunProgress>(runProgressQuery)).stages.find(({ label, done }) => label === 'b' && done >= 10)?.workflowId);
      const other = (await handle.query<RunProgress>(runProgressQuery)).stages.find(({ stage, label }) => stage === 'trainSae' && label === 'a')!.workflowId!;
      await environment.client.workflow.getHandle(victim).terminate('as an operator might');
      // its pipeline fails and would cancel the other: that one is started anew, alone
      await handle.result().catch(() => undefined);
      await until(async () => (await environment.client.workflow.getHandle(other).describe()).status.name !== 'RUNNING');
      const { input } = await inputOf(other);
      const alone = await environment.client.workflow.start('trainSae', { workflowId: other, taskQueue: taskQueues.workflows, args: [input] });
      await alone.result();
      expect(made().length).toBeGreaterThanOrEqual(6);
    }));

  it('continue as new, supply and training, with no shard made twice', { timeout: 180_000 }, () =>
    run(async () => {
      Object.assign(world.plan, { shards: 360, milestones: [360], resamplings: [] });
      world.stepsPerShard = 1;
      const handle = await start(freshRun('long'));
      await handle.result();
      expect(made()).toHaveLength(360);
      expect(world.mostPresent).toBeLessThanOrEqual(3);
      const supply = await supplyOf(handle);
      await until(async () => (await listed(environment.client, `WorkflowId = '${supply.workflowId}'`)).some(({ status }) => status === 'CONTINUED_AS_NEW'));
    }));
});

async function inputOf(workflowId: string): Promise<{ input: unknown }> {
  const { events } = await environment.client.workflow.getHandle(workflowId).fetchHistory();
  const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
  return { input: JSON.parse(Buffer.from(payload!.data!).toString()) as unknown };
}
