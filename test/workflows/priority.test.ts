// A short run overtakes a long one on a busy queue: on the server that saeflow starts, with one slot for both.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection, type WorkflowUpdateFailedError } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ShardInput } from '../../activities/shardJob.ts';
import { specKey } from '../../data/artifact.ts';
import { taskQueues } from '../../schemas/progress.ts';
import type { StageSpec } from '../../schemas/stages.ts';
import { resolveTemporal } from '../../setup/temporal.ts';
import { startTemporalServer, type TemporalServer } from '../../workers/temporalServer.ts';
import { setPriorityUpdate } from '../../workflows/messages.ts';
import { freshRun, freshSpec, idOf, startStage, stageWorkflowOf, until } from './fixtures.ts';
import { withWorkers } from './testWorkers.ts';
import { World } from './world.ts';

const scratch = mkdtempSync(join(tmpdir(), 'saeflow-priority-'));
let server: TemporalServer;
let connection: Connection;
let nativeConnection: NativeConnection;
let client: Client;
/** Keys of the artifacts whose shards were made, in order. */
let order: string[];

beforeAll(async () => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const temporal = await resolveTemporal({ ...process.env, TEMPORAL_ADDRESS: undefined, TEMPORAL_PROFILE: undefined });
  if (temporal.kind !== 'executable') throw new Error('this test needs a Temporal server of its own');
  server = await startTemporalServer({ executable: temporal.path, stateDir: scratch });
  connection = await Connection.connect({ address: server.address });
  nativeConnection = await NativeConnection.connect({ address: server.address });
  client = new Client({ connection });
}, 600_000);
afterAll(async () => {
  await nativeConnection?.close();
  await connection?.close();
  await server?.stop();
  rmSync(scratch, { recursive: true, force: true });
});
beforeEach(() => {
  order = [];
});

/** A world whose shards take their time and say whose they are, served with one slot on the gpu queue. */
function withOneSlot(shards: number, work: () => Promise<void>): Promise<void> {
  const world = new World();
  world.plan.shards = shards;
  const sampleShard = async ({ artifact, shard }: ShardInput) => {
    await sleep(40);
    order.push(artifact.key);
    return { shard, found: false, files: 0, bytes: 0, seconds: 0, device: 'cpu', metrics: {} };
  };
  const activities = () => ({ ...world.activities(), sampleShard });
  return withWorkers({ nativeConnection, namespace: undefined }, { activities }, work, 1);
}

const madeOf = (spec: StageSpec) => order.filter((key) => key === specKey(spec)).length;

/** Priorities in the order in which the workflow scheduled its activities. */
async function scheduledPriorities(workflowId: string): Promise<number[]> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) => (scheduled ? [scheduled.priority?.priorityKey ?? 0] : []));
}

describe('execution.priority', () => {
  it('1 overtakes 3: the second run ends while half of the first one still waits', () =>
    withOneSlot(60, async () => {
      const long = freshSpec('sampleActivations');
      const quick = freshSpec('sampleActivations');
      const first = await startStage(client, long, { concurrency: 60 });
      await until(async () => madeOf(long) >= 3);
      await (await startStage(client, quick, { concurrency: 60, priority: 1 })).result();
      expect(madeOf(quick)).toBe(60);
      expect(madeOf(long)).toBeLessThan(30);
      await first.result();
      expect(await scheduledPriorities(`${idOf(quick)}/sampleShard-0`)).toEqual(Array.from({ length: 60 }, () => 1));
      expect(await scheduledPriorities(idOf(quick))).toEqual([1, 1]);
      expect(await scheduledPriorities(idOf(long))).toEqual([3, 3]);
    }));

  it('can be set while a run goes on: its stages and their partitions schedule with it from then on', () =>
    withOneSlot(40, async () => {
      const run = await client.workflow.start('pipeline', { workflowId: 'prioritized', taskQueue: taskQueues.workflows, args: [{ ...freshRun('prioritized'), execution: { concurrency: 2, priority: 5 } }] });
      const stage = await stageWorkflowOf(run, 'sampleActivations');
      await until(async () => order.length >= 3);
      expect(await run.executeUpdate(setPriorityUpdate, { args: [2] })).toBe(2);
      const refused: unknown = await run.executeUpdate(setPriorityUpdate, { args: [6] }).catch((reason: unknown) => reason);
      expect((refused as WorkflowUpdateFailedError).cause?.message).toContain('Too big: expected number to be <=5');
      await run.result();
      const priorities = await scheduledPriorities(`${stage}/sampleShard-0`);
      expect(priorities.slice(0, 3)).toEqual([5, 5, 5]);
      expect(priorities.at(-1)).toBe(2);
      expect([...priorities].sort((a, b) => b - a)).toEqual(priorities);
      expect((await scheduledPriorities(stage)).at(-1)).toBe(2);
      expect((await scheduledPriorities('prioritized')).at(-1)).toBe(2);
    }));
});
