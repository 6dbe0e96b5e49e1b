// Refreshes the histories beside it: `npm run record-histories`. Run it after a change to workflows/ that is meant to
// break replay (and raise the worker's build id then); if the change is not meant to, a failing replay test is right.
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { startLabels } from '../../cli/labelRuns.ts';
import { labelConfig } from '../../schemas/labels.ts';
import { taskQueues } from '../../schemas/progress.ts';
import { formatHistory } from '../../workers/historyJson.ts';
import { pauseSignal, resumeSignal, retryFailedShardsUpdate } from '../../workflows/messages.ts';
import { freshSpec, idOf, startStage, until, untilState } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { withWorkers } from '../workflows/testWorkers.ts';
import { World } from '../workflows/world.ts';

const environment = await startTemporal();
const { client } = environment;

async function save(name: string, handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<void> {
  const json = formatHistory(await handle.fetchHistory());
  writeFileSync(join(import.meta.dirname, `${name}.json`), json.replaceAll(`${process.pid}@${hostname()}`, 'worker'));
  console.log(`recorded ${name}`);
}

const record = (recording: (world: World, environment: TestWorkflowEnvironment) => Promise<void>) => {
  const world = new World();
  return withWorkers(environment, world, () => recording(world, environment));
};

try {
  // A run from nothing, the same again (all looked up), and one with another SAE, compared with the one before.
  await record(async () => {
    const run = (workflowId: string, change: object = {}) => client.workflow.start('pipeline', { workflowId, taskQueue: taskQueues.workflows, args: [{ preset: 'tiny', seed: 7, ...change }] });
    const first = await run('replay-first');
    const { stages } = (await first.result()) as { stages: { artifact: { stage: string; key: string } }[] };
    await save('pipeline', first);
    for (const { stage, key } of stages.map(({ artifact }) => artifact)) await save(stage, client.workflow.getHandle(`saeflow/${stage}/${key.slice(0, 12)}`));
    const second = await run('replay-second');
    await second.result();
    await save('pipeline-found', second);
    const third = await run('replay-third', { saes: [{ l1Coefficient: 0.01 }] });
    await third.result();
    await save('pipeline-compared', third);
  });

  // Parked shards, a retry by Update, and the partitions of both rounds.
  await record(async (world) => {
    world.plan.shards = 20;
    world.failing.set(3, 'bad').set(11, 'bad');
    const spec = freshSpec('tokenize');
    const handle = await startStage(client, spec);
    await untilState(handle, 'blocked');
    world.failing.clear();
    await handle.executeUpdate(retryFailedShardsUpdate, { args: [{}] });
    await handle.result();
    await save('tokenize-parked', handle);
    await save('shardPartition', client.workflow.getHandle(`${idOf(spec)}/tokenizeShard-0`));
    await save('shardPartition-retry', client.workflow.getHandle(`${idOf(spec)}/tokenizeShard-retry-1-0`));
  });

  // Labels in two batches, the second at the end of the budget.
  await record(async (world) => {
    world.labelRequests = 60;
    const config = labelConfig.parse({ endpoint: 'http://127.0.0.1:9/v1', model: 'm' });
    const input = { dashboard: 'a'.repeat(64), features: Array.from({ length: 40 }, (_, feature) => feature), config };
    const handle = client.workflow.getHandle(await startLabels(client, input));
    await handle.result();
    await save('labelFeatures', handle);
  });

  // The store cleaned.
  await record(async () => {
    const handle = await client.workflow.start('collectGarbage', { workflowId: 'replay-garbage', taskQueue: taskQueues.workflows, args: [{ delete: true }] });
    await handle.result();
    await save('collectGarbage', handle);
  });

  // A pause in the middle of a segment.
  await record(async (world) => {
    world.stepMs = 20;
    const handle = await startStage(client, freshSpec('trainSae'));
    await until(async () => world.log.includes('trainSaeSegment 20'));
    await handle.signal(pauseSignal);
    await untilState(handle, 'paused');
    await handle.signal(resumeSignal);
    await handle.result();
    await save('trainSae-paused', handle);
  });

  // Activations that are consumed: what makes them, the SAE that reads them, and the run of both.
  await record(async (world) => {
    Object.assign(world, { windowShards: 3 });
    Object.assign(world.plan, { shards: 6 });
    const run = await client.workflow.start('pipeline', { workflowId: 'replay-consumed', taskQueue: taskQueues.workflows, args: [{ preset: 'tiny', seed: 8, activations: { retention: 'consume' } }] });
    const { stages } = (await run.result()) as { stages: { artifact: { stage: string; key: string } }[] };
    const keyOf = (stage: string) => stages.find(({ artifact }) => artifact.stage === stage)!.artifact.key.slice(0, 12);
    const supply = client.workflow.getHandle(`saeflow/supplyActivations/${keyOf('sampleActivations')}`);
    await supply.result();
    await save('supplyActivations', supply);
    await save('trainSae-supplied', client.workflow.getHandle(`saeflow/trainSae/${keyOf('trainSae')}`));
    await save('pipeline-consumed', run);
  });
} finally {
  await environment.teardown();
}
process.exit(0);
