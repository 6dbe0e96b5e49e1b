// A worker as a process of its own: killed with SIGKILL, ended with SIGTERM, configured by its environment.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { taskQueues, type PipelineResult } from '../../schemas/progress.ts';
import { isAlive } from '../../setup/lock.ts';
import { workersOptionsOf } from '../../workers/main.ts';
import { pendingActivities, stageWorkflowOf, until } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { writeSmallCorpus } from './smallCorpus.ts';

const main = resolve(import.meta.dirname, '../../workers/main.ts');
const tsxLoader = pathToFileURL(resolve(import.meta.dirname, '../../node_modules/tsx/dist/esm/index.mjs')).href;
const scratch = mkdtempSync(join(tmpdir(), 'saeflow-process-'));
const workers: ChildProcess[] = [];
let environment: TestWorkflowEnvironment;

beforeAll(async () => {
  // Without search attributes: the worker has to register them.
  environment = await startTemporal({ searchAttributes: false });
}, 600_000);
afterEach(async () => {
  for (const worker of workers.splice(0)) {
    worker.kill('SIGKILL');
    await ended(worker);
  }
});
afterAll(async () => {
  await environment?.teardown();
  rmSync(scratch, { recursive: true, force: true });
});

function startWorker(store: string): ChildProcess {
  const env = { ...process.env, TEMPORAL_ADDRESS: environment.address, TEMPORAL_PROFILE: undefined, TEMPORAL_CONFIG_FILE: undefined, HOME: scratch, SAEFLOW_STORE: store, SAEFLOW_THREADS: '1' };
  const worker = spawn(process.execPath, ['--import', tsxLoader, main], { env, stdio: ['ignore', 'ignore', 'inherit'] });
  workers.push(worker);
  return worker;
}

function ended(worker: ChildProcess): Promise<number | null> {
  if (worker.exitCode !== null || worker.signalCode !== null) return Promise.resolve(worker.exitCode);
  return new Promise((done) => worker.once('exit', done));
}

const childrenOf = ({ pid }: ChildProcess) => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number).filter(Boolean);

describe('a worker process', () => {
  it(
    'killed with SIGKILL leaves no process behind, and another one goes on; ended with SIGTERM it hands its work back and exits 0',
    async () => {
      const store = join(scratch, 'store');
      const killed = startWorker(store);
      const input = { preset: 'tiny', corpus: { paths: [writeSmallCorpus(scratch)] }, transformer: { training: { steps: 6_000, evaluateEverySteps: 3_000, checkpointEverySteps: 100 } } };
      const handle = await environment.client.workflow.start<(input: unknown) => Promise<PipelineResult>>('pipeline', { workflowId: 'process', taskQueue: taskQueues.workflows, args: [input] });
      const workflowId = await stageWorkflowOf(handle, 'trainTransformer');
      const training = () => pendingActivities(environment.client, workflowId);
      await until(async () => (await training()).some(({ heartbeat }) => heartbeat.includes('checkpointStep')));
      const computing = childrenOf(killed);
      expect(computing.length).toBeGreaterThan(0);
      killed.kill('SIGKILL');
      await until(async () => !computing.some(isAlive));

      const [lost] = await training();
      const second = startWorker(store);
      // The server notices by the heartbeat timeout.
      await until(async () => (await training()).some(({ attempt, heartbeat }) => attempt > 1 && heartbeat.includes('checkpointStep') && heartbeat !== lost?.heartbeat));
      second.kill('SIGTERM');
      expect(await ended(second)).toBe(0);
      expect(await training()).toMatchObject([{ lastFailure: 'the worker is shutting down; what was done is saved' }]);

      startWorker(store);
      expect((await handle.result()).stages.map(({ cached }) => cached)).toEqual([false, false, false, false, false]);
    },
    240_000,
  );
});

describe('workersOptionsOf', () => {
  it('serves all queues from a store in the current folder by default', () => {
    expect(workersOptionsOf({})).toEqual({ storeUri: resolve('.saeflow/store'), queues: ['workflows', 'cpu', 'gpu'], cpuSlots: Math.min(availableParallelism(), 4), gpuSlots: 1 });
  });

  it('takes what the environment says', () => {
    const env = { SAEFLOW_STORE: 's3://bucket/runs', SAEFLOW_QUEUES: 'gpu, cpu', SAEFLOW_GPU_SLOTS: '8', SAEFLOW_CPU_SLOTS: '2', SAEFLOW_THREADS: '4', SAEFLOW_SILENCE_SECONDS: '60' };
    expect(workersOptionsOf(env)).toEqual({ storeUri: 's3://bucket/runs', queues: ['gpu', 'cpu'], cpuSlots: 2, gpuSlots: 8, threads: 4, silenceLimitMs: 60_000 });
  });

  it('pins runs to a build that is named, or to the version and commit of the clone', () => {
    expect(workersOptionsOf({ SAEFLOW_BUILD_ID: 'blue' })).toMatchObject({ buildId: 'blue' });
    expect(workersOptionsOf({ SAEFLOW_BUILD_ID: 'auto' }).buildId).toMatch(/^\d+\.\d+\.\d+(-[0-9a-f]{7,}(-dirty)?)?$/);
    expect(workersOptionsOf({ SAEFLOW_BUILD_ID: '' })).not.toHaveProperty('buildId');
  });

  it.each([
    [{ SAEFLOW_BUILD_ID: 'none' }, "SAEFLOW_BUILD_ID (worker --build-id) is 'none'"],
    [{ SAEFLOW_QUEUES: 'gpus' }, "SAEFLOW_QUEUES names 'gpus'"],
    [{ SAEFLOW_GPU_SLOTS: '0' }, "SAEFLOW_GPU_SLOTS is '0'"],
    [{ SAEFLOW_THREADS: 'all' }, "SAEFLOW_THREADS is 'all'"],
  ])('refuses %j', (env, message) => {
    expect(() => workersOptionsOf(env)).toThrow(message);
  });
});
