// A run stays with the build that it began on, whatever build is current later: worker processes of several builds, each
// the real one, and the command line that a person upgrades them with.
import { spawn, type ChildProcess } from 'node:child_process';
import { openSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { historiesOf } from '../../cli/histories.ts';
import { taskQueues, type PipelineResult } from '../../schemas/progress.ts';
import type * as workflows from '../../workflows/index.ts';
import { runCli, type CliResult } from '../cli/runCli.ts';
import { pendingActivities, stageWorkflowOf, until } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { writeSmallCorpus } from './smallCorpus.ts';

type Pipeline = (input: unknown) => Promise<PipelineResult>;

const main = resolve(import.meta.dirname, '../../workers/main.ts');
const tsxLoader = pathToFileURL(resolve(import.meta.dirname, '../../node_modules/tsx/dist/esm/index.mjs')).href;
const scratch = mkdtempSync(join(tmpdir(), 'saeflow-deployment-'));
const workers = new Map<string, ChildProcess>();
let environment: TestWorkflowEnvironment;
let corpus: string;

beforeAll(async () => {
  corpus = writeSmallCorpus(scratch);
  // A version is called drained after minutes by default; and histories of 60 events are long enough to continue as new.
  environment = await startTemporal({
    settings: ['matching.wv.VersionDrainageStatusVisibilityGracePeriod="1s"', 'matching.wv.VersionDrainageStatusRefreshInterval="1s"', 'limit.historyCount.suggestContinueAsNew=60'],
  });
}, 600_000);
afterAll(async () => {
  for (const worker of workers.values()) worker.kill('SIGKILL');
  await environment?.teardown();
  rmSync(scratch, { recursive: true, force: true });
});

function startWorker(buildId: string): void {
  const log = openSync(join(scratch, `${buildId}.log`), 'a');
  const env = { ...process.env, TEMPORAL_ADDRESS: environment.address, TEMPORAL_PROFILE: undefined, TEMPORAL_CONFIG_FILE: undefined, HOME: scratch, SAEFLOW_STORE: join(scratch, 'store'), SAEFLOW_THREADS: '1', SAEFLOW_BUILD_ID: buildId };
  workers.set(buildId, spawn(process.execPath, ['--import', tsxLoader, main], { env, stdio: ['ignore', log, log] }));
}

/** Ends a worker in order; its exit code. */
async function endWorker(buildId: string): Promise<number | null> {
  const worker = workers.get(buildId)!;
  const ended = new Promise<number | null>((done) => worker.once('exit', done));
  worker.kill('SIGTERM');
  return ended;
}

const saeflow = (...args: string[]): Promise<CliResult> => runCli(scratch, args, { TEMPORAL_ADDRESS: environment.address });

/** Starts a worker and makes its build the current one, as soon as the server has seen it. */
async function upgradeTo(buildId: string): Promise<void> {
  startWorker(buildId);
  await until(async () => (await saeflow('builds', 'use', buildId)).exitCode === 0);
}

/** A run with enough segments that its training continues as new, and that is at work on it. */
async function startTraining(workflowId: string, seed: number): Promise<WorkflowHandle<Pipeline>> {
  const input = { preset: 'tiny', name: workflowId, seed, corpus: { paths: [corpus] }, transformer: { training: { steps: 150, evaluateEverySteps: 5 } } };
  const handle = await environment.client.workflow.start<Pipeline>('pipeline', { workflowId, taskQueue: taskQueues.workflows, args: [input] });
  const training = await stageWorkflowOf(handle, 'trainTransformer');
  await until(async () => (await pendingActivities(environment.client, training)).length > 0);
  return handle;
}

/** Builds that carried out a run's workflow tasks, processes that carried out its activities, types and how many continued as new. */
async function carriedOutBy(workflowId: string) {
  const seen = { builds: new Set<string>(), processes: new Set<string>(), types: new Set<string>(), continued: 0 };
  for await (const { history } of historiesOf(environment.client, workflowId)) {
    for (const event of history.events ?? []) {
      const { workflowExecutionStartedEventAttributes: started, workflowTaskCompletedEventAttributes: task, activityTaskStartedEventAttributes: activity, workflowExecutionContinuedAsNewEventAttributes: continued } = event;
      if (started) seen.types.add(started.workflowType?.name ?? '');
      if (task) seen.builds.add(task.deploymentVersion?.buildId ?? 'none');
      if (activity) seen.processes.add((activity.identity ?? '').split('@')[0]!);
      if (continued) seen.continued++;
    }
  }
  return seen;
}

describe('workers of two builds', () => {
  it(
    'a run finishes on the build it began on, with all it starts, while new ones begin on the next, which it can be moved to',
    async () => {
      expect((await saeflow('builds')).stdout).toContain('no worker ever had a build id');
      const unknown = await saeflow('builds', 'use', 'build-x');
      expect(unknown.exitCode).toBe(1);
      expect(unknown.stderr).toContain('saeflow worker --build-id build-x');

      await upgradeTo('build-a');
      const first = await startTraining('on-a', 1);
      await upgradeTo('build-b');
      expect((await saeflow('builds')).stdout).toMatch(/build-a +draining +[1-9]/);
      const second = await startTraining('on-b', 2);
      const [ofFirst, ofSecond] = await Promise.all([first.result(), second.result()]);
      expect(ofFirst.stages.map(({ cached }) => cached)).toEqual([false, false, false, false, false]);
      expect(ofSecond.stages.map(({ cached }) => cached)).toEqual([true, false, false, false, false]);

      const byFirst = await carriedOutBy('on-a');
      expect([...byFirst.types].sort()).toEqual(expect.arrayContaining(['exportDashboard', 'pipeline', 'sampleActivations', 'shardPartition', 'tokenize', 'trainSae', 'trainTransformer'] satisfies (keyof typeof workflows)[]));
      expect(byFirst.continued).toBeGreaterThan(0);
      expect([...byFirst.builds]).toEqual(['build-a']);
      expect([...byFirst.processes]).toEqual([String(workers.get('build-a')!.pid)]);
      const bySecond = await carriedOutBy('on-b');
      expect([...bySecond.builds]).toEqual(['build-b']);
      expect([...bySecond.processes]).toEqual([String(workers.get('build-b')!.pid)]);

      await until(async () => /build-a +drained +0/.test((await saeflow('builds')).stdout));
      expect(await endWorker('build-a')).toBe(0);

      // The worker of a run's build is gone for good, and the new code replays the run.
      const third = await startTraining('moved', 3);
      expect(await endWorker('build-b')).toBe(0);
      await upgradeTo('build-c');
      expect((await saeflow('replay', 'moved')).stdout).toMatch(/replays +trainTransformer/);
      expect((await saeflow('builds', 'move', 'saeflow/moved', 'build-c')).exitCode).toBe(1);
      const moved = await saeflow('builds', 'move', 'moved', 'build-c');
      expect(moved.stdout, moved.stderr).toContain('moved: on build build-c');
      expect((await third.result()).stages.map(({ cached }) => cached)).toEqual([true, false, false, false, false]);
      expect([...(await carriedOutBy('moved')).builds].sort()).toEqual(['build-b', 'build-c']);
    },
    300_000,
  );
});
