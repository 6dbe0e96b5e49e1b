// What a user must be able to say: "I killed anything at any time and got the same bits." Every long stage loses its
// compute process, its worker and its Temporal server by kill -9; the run must end with the unbroken run's hashes.
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { verifyArtifact } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { corpusPath } from '../../data/plans.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { jobProgress } from '../../schemas/jobs.ts';
import { pipelineResult, taskQueues, type RunProgress } from '../../schemas/progress.ts';
import type { PipelineInput } from '../../schemas/config.ts';
import { report } from '../../schemas/report.ts';
import type { StageName } from '../../schemas/stages.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { runPipeline } from '../../stages/inProcess.ts';
import { Processes, type Victim } from './processes.ts';

/** Tiny, but shards and segments last many times longer than the two seconds between heartbeats, by which a kill finds its stage at work. */
const overrides: { preset: string } & PipelineInput = {
  preset: 'tiny',
  tokenize: { heldOutFraction: 0.3, shardBytes: 64 * 2 ** 10 },
  transformer: { training: { steps: 1_200, evaluateEverySteps: 300, checkpointEverySteps: 20 } },
  activations: { prompts: 4_000, positionsPerPrompt: 32, promptsPerShard: 2_000, batchPrompts: 1 },
  saes: [{ features: 512, epochs: 4, batchSize: 256, segmentSteps: 400, checkpointEverySteps: 20, resampling: { steps: [300, 700], deadWindowSteps: 200, candidates: 1_024 } }],
  dashboard: { tokens: null, windowsPerShard: 2_048, batchWindows: 1, featuresPerBlock: 64 },
  execution: { concurrency: 2, shardAttempts: 20 },
};
const longStages: StageName[] = ['trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard'];
const victims: Victim[] = ['compute', 'worker', 'server'];

let folder: string;
let processes: Processes;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'saeflow-kill-'));
  await writeTestCorpus(join(folder, 'corpus.jsonl'), 200);
  processes = await Processes.start(folder);
});
afterAll(async () => {
  await processes?.stop();
  await rm(folder, { recursive: true, force: true });
});

it('kill -9 of compute process, worker and server in each long stage: same hashes as the unbroken run', { timeout: 1_200_000 }, async () => {
  let client = await processes.client();
  const input = { ...overrides, corpus: { paths: [join(folder, 'corpus.jsonl')] } };
  await client.workflow.start('pipeline', { taskQueue: taskQueues.workflows, workflowId: 'kill', args: [input] });

  const killed: string[] = [];
  for (const stage of longStages) {
    for (const victim of victims) {
      if (!(await atWork(client, stage))) break;
      await processes.kill(victim);
      killed.push(`${stage}: ${victim}`);
      if (victim === 'server') client = await processes.client();
    }
  }
  // the point of the test is that each of them died in the middle of each stage
  expect(killed).toEqual(longStages.flatMap((stage) => victims.map((victim) => `${stage}: ${victim}`)));

  const result = pipelineResult.parse(await client.workflow.getHandle('kill').result());
  const made = result.stages.map(({ artifact }) => [artifact.stage, artifact.key, artifact.contentSha256]);
  const store = openStore(processes.storeDir);
  expect(await verifyArtifact(store, result.stages.at(-1)!.artifact, { ancestors: true })).toEqual([]);
  expect(report.parse(JSON.parse(await readFile(new URL(`file://${result.reportUri}`), 'utf8'))).stages.map(({ cached }) => cached)).toEqual([false, false, false, false, false]);

  await expectReferencesOnly(client);
  expect(made).toEqual(await unbrokenRun(input));
});

/** Waits until a job of the stage reports progress that is neither its first nor its last; false when the stage ended first. */
async function atWork(client: Client, stage: StageName): Promise<boolean> {
  for (let seen: number | undefined; ; await sleep(100)) {
    const row = (await retrying(() => client.workflow.getHandle('kill').query<RunProgress>('progress'))).stages.find((candidate) => candidate.stage === stage)!;
    if (['done', 'cached', 'failed'].includes(row.state)) return false;
    if (row.workflowId === undefined) continue;
    const progress = await heartbeat(client, row.workflowId);
    if (progress === undefined) continue;
    if (seen !== undefined && progress !== seen && processes.pidOf('compute') !== undefined) return true;
    seen = progress;
  }
}

/** `done` of a job that runs now in a workflow or in the partitions it started. */
async function heartbeat(client: Client, workflowId: string): Promise<number | undefined> {
  const ids = [workflowId, ...['sampleShard', 'readFeaturesShard', 'writeFeaturesBlock'].map((activity) => `${workflowId}/${activity}-0`)];
  for (const id of ids) {
    const description = await client.workflow.getHandle(id).describe().catch(() => undefined);
    for (const { heartbeatDetails } of description?.raw.pendingActivities ?? []) {
      const data = heartbeatDetails?.payloads?.[0]?.data;
      const parsed = data === undefined || data === null || data.length === 0 ? undefined : jobProgress.safeParse(JSON.parse(Buffer.from(data).toString()));
      if (parsed?.success) return parsed.data.done;
    }
  }
  return undefined;
}

/** A worker that was just started, or a server, does not answer at once. */
async function retrying<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(500);
    }
  }
}

/** Histories hold references, never data: no payload of any workflow of the run is larger than 64 KiB. */
async function expectReferencesOnly(client: Client): Promise<void> {
  let workflows = 0;
  let largest = 0;
  for await (const { workflowId, runId } of client.workflow.list()) {
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    expect(events!.length).toBeLessThan(10_000);
    for (const event of events!) largest = Math.max(largest, JSON.stringify(event).length);
    workflows++;
  }
  expect(workflows).toBeGreaterThanOrEqual(6);
  expect(largest).toBeLessThan(64 * 2 ** 10);
}

async function unbrokenRun(input: unknown): Promise<unknown[]> {
  await loadBackend({});
  const config = resolveInput(input);
  const store = openStore(join(folder, 'unbroken'));
  const broken = openStore(processes.storeDir);
  const [listed] = await broken.list('corpus/');
  const key = z.string().parse(/^corpus\/(.*)\.json$/.exec(listed!.path)?.[1]);
  await store.put(corpusPath(key), Buffer.from(JSON.stringify(await resolveCorpusFiles(config.corpus.paths, folder))));
  const results = await runPipeline(store, config, key);
  return results.map(({ artifact }) => [artifact.stage, artifact.key, artifact.contentSha256]);
}
