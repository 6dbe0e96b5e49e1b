// A person interrupts a run, everything real: pause frees the GPU's only slot for another run, cancel ends the compute
// process and leaves what was finished, and a run that was terminated and started again ends with an unbroken one's bytes.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { childrenOf } from '../../chaos/processes.ts';
import { artifactPath, verifyArtifact } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { temporaryPrefix } from '../../data/storePath.ts';
import { taskQueues, type PipelineResult, type StageProgress } from '../../schemas/progress.ts';
import type { StageName } from '../../schemas/stages.ts';
import { isAlive } from '../../setup/lock.ts';
import { startWorkers, type Workers } from '../../workers/worker.ts';
import { pauseSignal, resumeSignal } from '../../workflows/messages.ts';
import { runCli, type CliResult } from '../cli/runCli.ts';
import { pendingActivities, stageWorkflowOf, until, untilSaving, untilState } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { writeSmallCorpus } from './smallCorpus.ts';

type Pipeline = (input: unknown) => Promise<PipelineResult>;

const scratch = mkdtempSync(join(tmpdir(), 'saeflow-interrupted-'));
const storeUri = join(scratch, 'store');
const store = openStore(storeUri);
let environment: TestWorkflowEnvironment;
let corpus: string;
let workers: Workers;
let working: Promise<void>;

beforeAll(async () => {
  environment = await startTemporal();
  corpus = writeSmallCorpus(scratch);
  await serve(storeUri);
}, 600_000);
afterAll(async () => {
  workers?.shutdown();
  await working;
  await environment?.teardown();
  rmSync(scratch, { recursive: true, force: true });
});

/** One slot for the GPU, as on a machine with one. */
async function serve(uri: string): Promise<void> {
  workers?.shutdown();
  await working;
  workers = await startWorkers({ connection: { address: environment.address }, namespace: environment.namespace ?? 'default', storeUri: uri, queues: ['workflows', 'cpu', 'gpu'], threads: 1 });
  working = workers.run();
}

/** Long enough to be interrupted in a training segment, and between two of 32 shards of activations. */
const long = (seed: number) => ({
  preset: 'tiny',
  name: 'long',
  seed,
  corpus: { paths: [corpus] },
  transformer: { training: { steps: 400, evaluateEverySteps: 200, checkpointEverySteps: 10 } },
  activations: { promptsPerShard: 16, batchPrompts: 4 },
  execution: { concurrency: 1 },
});
/** However fast the machine, who interrupts it comes within the first segment. */
const endless = (seed: number) => ({ ...long(seed), transformer: { training: { steps: 20_000, evaluateEverySteps: 10_000, checkpointEverySteps: 10 } } });
const start = (workflowId: string, input: unknown): Promise<WorkflowHandle<Pipeline>> =>
  environment.client.workflow.start<Pipeline>('pipeline', { workflowId, taskQueue: taskQueues.workflows, args: [input] });
const saeflow = (...args: string[]): Promise<CliResult> => runCli(scratch, args, { TEMPORAL_ADDRESS: environment.address });
const computePids = () => childrenOf(process.pid, 'workers/compute.ts');
const contents = ({ stages }: PipelineResult) => stages.map(({ artifact: { stage, key, contentSha256, metrics } }) => ({ stage, key, contentSha256, metrics }));

async function stageOf(run: WorkflowHandle, stage: StageName): Promise<WorkflowHandle> {
  return environment.client.workflow.getHandle(await stageWorkflowOf(run, stage));
}

/** Paths in the store of what a stage's workflow makes, below `folder`. */
async function filesOf(stage: WorkflowHandle, folder: string): Promise<string[]> {
  const { stage: name, key } = await stage.query<StageProgress>('progress');
  return (await store.list(artifactPath({ stage: name, key: key! }, folder))).map(({ path }) => path);
}

/** When each finished shard was written. */
async function receiptTimes(stage: WorkflowHandle): Promise<Map<string, number>> {
  const receipts = await filesOf(stage, 'receipts/');
  return new Map(receipts.sort().map((path) => [path, statSync(join(storeUri, path)).mtimeMs]));
}

/** Waits for the end that a cancelled run has, and for that of its stage. */
async function expectCancelled(run: WorkflowHandle, stage: WorkflowHandle): Promise<void> {
  await expect(run.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect((await stage.describe()).status.name).toBe('CANCELLED');
}

it(
  'pause frees the only GPU slot within a segment: another run is done meanwhile, and the first goes on where it was',
  async () => {
    const first = await start('first', endless(1));
    await untilSaving(environment.client, first, 'trainTransformer', 'trainTransformerSegment');
    const training = computePids();
    const stage = await stageOf(first, 'trainTransformer');
    await first.signal(pauseSignal);
    expect((await untilState(stage, 'paused')).done).toBe(0);
    expect(await pendingActivities(environment.client, stage.workflowId)).toEqual([]);
    await until(async () => training.filter(isAlive).length < training.length);

    const second = await (await start('second', { preset: 'tiny', name: 'second', seed: 5, corpus: { paths: [corpus] } })).result();
    expect(second.stages.map(({ cached }) => cached)).toEqual([true, false, false, false, false]);
    expect(await stage.query<StageProgress>('progress')).toMatchObject({ state: 'paused', done: 0, total: 20_000 });

    await first.signal(resumeSignal);
    await untilSaving(environment.client, first, 'trainTransformer', 'trainTransformerSegment');
    expect((await saeflow('cancel', 'first')).stdout).toContain('cancelling first');
    await expectCancelled(first, stage);
  },
  240_000,
);

it(
  'cancel, by command or client, ends the compute process after a checkpoint and leaves finished shards; nothing temporary stays',
  async () => {
    const byCommand = await start('cancelled', endless(2));
    await untilSaving(environment.client, byCommand, 'trainTransformer', 'trainTransformerSegment');
    const training = await stageOf(byCommand, 'trainTransformer');
    const computing = computePids();
    const { exitCode, stdout } = await saeflow('cancel', 'cancelled');
    expect([exitCode, stdout]).toEqual([0, 'cancelling cancelled: it ends when checkpoints are saved (saeflow status tells)\n']);
    await expectCancelled(byCommand, training);
    await until(async () => computing.filter(isAlive).length < computing.length);
    expect((await saeflow('status', 'cancelled')).stdout).toMatch(/^cancelled: cancelled/);
    expect(await filesOf(training, 'work/')).not.toEqual([]);

    const byClient = await start('cancelled', long(2));
    const sampling = await stageOf(byClient, 'sampleActivations');
    await until(async () => (await receiptTimes(sampling)).size >= 2);
    await byClient.cancel();
    await expectCancelled(byClient, sampling);
    const paths = (await store.list('')).map(({ path }) => path);
    expect(paths.filter((path) => path.includes(temporaryPrefix))).toEqual([]);
  },
  240_000,
);

it(
  'a terminated run’s next start goes on from the store, makes no finished shard again, and ends with an unbroken run’s bytes',
  async () => {
    const terminated = await start('terminated', long(3));
    const sampling = await stageOf(terminated, 'sampleActivations');
    await until(async () => (await receiptTimes(sampling)).size >= 2);
    await terminated.terminate('the wrong button');
    expect((await terminated.describe()).status.name).toBe('TERMINATED');

    await until(async () => (await sampling.describe()).status.name === 'CANCELLED');
    const before = await receiptTimes(sampling);
    expect(before.size).toBeLessThan(32);
    const survived = await (await start('terminated', long(3))).result();
    expect(survived.stages.map(({ cached }) => cached)).toEqual([true, true, false, false, false]);
    const after = await receiptTimes(sampling);
    expect(after.size).toBe(32);
    expect([...after].filter(([path]) => before.has(path))).toEqual([...before]);
    expect(await verifyArtifact(store, survived.stages.at(-1)!.artifact, { ancestors: true })).toEqual([]);
    await serve(join(scratch, 'unbroken'));
    expect(contents(survived)).toEqual(contents(await (await start('unbroken', long(3))).result()));
  },
  240_000,
);
