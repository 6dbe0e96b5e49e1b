// Everything real: server, workers, compute processes, TensorFlow, store. A run whose compute processes are killed and
// whose worker is replaced ends with the very bytes of one that was left alone.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readManifest, verifyArtifact } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { taskQueues, type PipelineResult } from '../../schemas/progress.ts';
import { startWorkers, type Queue, type Workers } from '../../workers/worker.ts';
import { stageWorkflowId, type ArtifactId } from '../../schemas/stages.ts';
import { untilSaving } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { writeSmallCorpus } from './smallCorpus.ts';

type Pipeline = (input?: unknown) => Promise<PipelineResult>;

const folders: string[] = [];
let environment: TestWorkflowEnvironment;
let corpus: string;

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'saeflow-worker-'));
  folders.push(folder);
  return folder;
}

beforeAll(async () => {
  environment = await startTemporal();
  corpus = writeSmallCorpus(newFolder());
}, 600_000);
afterAll(async () => {
  await environment?.teardown();
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** Starts workers as a process of its own would; `stop` returns when they have handed everything back. */
async function serve(storeUri: string, queues: Queue[] = ['workflows', 'cpu', 'gpu']): Promise<{ stop(): Promise<void> }> {
  const workers: Workers = await startWorkers({ connection: { address: environment.address }, namespace: environment.namespace ?? 'default', storeUri, queues, threads: 1 });
  const running = workers.run();
  return {
    stop: async () => {
      workers.shutdown();
      await running;
    },
  };
}

/** Segments longer than the preset's, so that a kill falls into one. */
function start(workflowId: string): Promise<WorkflowHandle<Pipeline>> {
  const input = { preset: 'tiny', corpus: { paths: [corpus] }, transformer: { training: { steps: 160, evaluateEverySteps: 80 } }, saes: [{ epochs: 24, segmentSteps: 2_000, resampling: { steps: [1_000] } }] };
  return environment.client.workflow.start<Pipeline>('pipeline', { workflowId, taskQueue: taskQueues.workflows, args: [input] });
}

/** Compute processes of this process, oldest first. */
function computePids(): number[] {
  const children = readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, 'utf8').trim().split(' ').map(Number);
  return children.filter((pid) => pid > 0 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('workers/compute.ts'));
}

/** What the activities of an artifact's stage failed with before they succeeded. */
async function retriesOf({ stage, key }: ArtifactId): Promise<string[]> {
  const { events } = await environment.client.workflow.getHandle(stageWorkflowId(stage, key)).fetchHistory();
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => started?.lastFailure?.applicationFailureInfo?.type ?? started?.lastFailure?.message ?? []);
}

describe('workers', () => {
  it(
    'make a run from end to end, find all of it the next time, and end with the same bytes after kills and a new worker',
    async () => {
      const calm = newFolder();
      const calmWorkers = await serve(calm);
      const unbroken = await (await start('unbroken')).result();
      const again = await (await start('again')).result();
      await calmWorkers.stop();

      expect(unbroken.stages.map(({ artifact, cached }) => [artifact.stage, cached])).toEqual(['tokenize', 'trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard'].map((stage) => [stage, false]));
      expect(again.stages).toEqual(unbroken.stages.map(({ artifact }) => ({ artifact, cached: true })));
      const store = openStore(calm);
      const dashboard = unbroken.stages.at(-1)!.artifact;
      expect(await verifyArtifact(store, dashboard, { ancestors: true })).toEqual([]);
      expect((await readManifest(store, dashboard))?.provenance).toMatchObject({ threads: 1, backend: expect.stringMatching(/^(tensorflow|wasm) \d/) as string, codeVersion: expect.stringContaining('saeflow') as string });
      expect(computePids()).toEqual([]);

      const stormy = newFolder();
      const firstWorkers = await serve(stormy);
      const broken = await start('broken');
      await untilSaving(environment.client, broken, 'trainTransformer', 'trainTransformerSegment');
      for (const pid of computePids()) process.kill(pid, 'SIGKILL');
      await untilSaving(environment.client, broken, 'trainSae', 'trainSaeSegment');
      await firstWorkers.stop();
      expect(computePids()).toEqual([]);
      const secondWorkers = await serve(stormy);
      const survived = await broken.result();
      await secondWorkers.stop();
      const contents = ({ stages }: PipelineResult) => stages.map(({ artifact: { stage, key, contentSha256, metrics } }) => ({ stage, key, contentSha256, metrics }));
      expect(contents(survived)).toEqual(contents(unbroken));
      const [, transformer, , sae] = survived.stages;
      expect(await retriesOf(transformer!.artifact)).toContain('ComputeProcessDied');
      expect(await retriesOf(sae!.artifact)).toContain('WorkerShutdown');
    },
    300_000,
  );
});
