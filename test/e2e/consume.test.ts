// A run twenty times larger than its disk: everything real, on a file system that could not hold a tenth of the
// activations, killed in the middle, and at the end the SAE of a run that kept them all.
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import { expect, it } from 'vitest';
import { resolveCorpus } from '../../activities/resolveCorpus.ts';
import { verifyArtifact } from '../../data/artifact.ts';
import { openStore } from '../../data/artifactStore.ts';
import { resolveInput } from '../../presets/resolve.ts';
import { taskQueues, type PipelineResult, type RunProgress, type StageProgress } from '../../schemas/progress.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { runPipeline } from '../../stages/inProcess.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { runProgressQuery } from '../../workflows/messages.ts';
import { Processes, type Victim } from './processes.ts';
import { mountSmallDisk, type SmallDisk } from './smallDisk.ts';

const diskBytes = 12 * 2 ** 20;
/** 240 shards of 1,024 vectors of 512 numbers: 1.06 MB each. */
const shards = 240;
const input = (corpus: string) => ({
  preset: 'tiny' as const,
  name: 'larger',
  corpus: { paths: [corpus] },
  transformer: { architecture: { dMlp: 512 } },
  activations: { plan: 'random-offsets' as const, prompts: 32 * shards, positionsPerPrompt: 32, promptsPerShard: 32, windowShards: 5, retention: 'consume' as const },
  saes: [
    { name: 'one', features: 32, batchSize: 1_000, initVectors: 1_500, mixShards: 2, segmentSteps: 100, checkpointEverySteps: 3, resampling: { steps: [100], deadWindowSteps: 20, candidates: 2_000 } },
    { name: 'two', l1Coefficient: 1e-2, features: 32, batchSize: 1_000, initVectors: 1_500, mixShards: 2, segmentSteps: 100, checkpointEverySteps: 3, resampling: { steps: [100], deadWindowSteps: 20, candidates: 2_000 } },
  ],
  dashboard: { tokens: 2_048 },
});

it('ends with the SAEs of a run that kept its activations, whatever was killed, and never fills its disk', { timeout: 1_200_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'saeflow-larger-'));
  let disk: SmallDisk | undefined;
  let processes: Processes | undefined;
  try {
    const corpus = await writeTestCorpus(join(folder, 'corpus.jsonl'), 40);
    await loadBackend();
    const kept = openStore(join(folder, 'kept'));
    const config = resolveInput(input(corpus));
    const { key } = await resolveCorpus({ store: kept, cwd: folder }, config.corpus);
    const expected = await runPipeline(kept, { ...config, activations: { ...config.activations, retention: 'keep' } }, key);
    const { bytes } = expected.find(({ artifact }) => artifact.stage === 'sampleActivations')!.artifact;
    expect(bytes).toBeGreaterThan(20 * diskBytes);

    disk = await mountSmallDisk(join(folder, 'store'), diskBytes);
    processes = await Processes.start(folder);
    const { client, peak, stopWatching } = await watched(processes);
    const handle: WorkflowHandle<(input: unknown) => Promise<PipelineResult>> = await client.workflow.start('pipeline', { workflowId: 'larger', taskQueue: taskQueues.workflows, args: [input(corpus)] });
    const strikes: { victim: Victim; atStep: number }[] = [{ victim: 'compute', atStep: 20 }, { victim: 'worker', atStep: 60 }, { victim: 'compute', atStep: 105 }, { victim: 'worker', atStep: 150 }];
    for (const { victim, atStep } of strikes) {
      await untilStep(handle, atStep);
      await processes.kill(victim);
    }
    const { stages } = await handle.result();
    stopWatching();
    // SAEs and all that they are made from; pages are compared in test/stages/consume.test.ts.
    const hashes = (results: readonly { artifact: { stage: string; key: string; contentSha256: string } }[]) => [...new Set(results.filter(({ artifact }) => artifact.stage !== 'exportDashboard').map(({ artifact }) => `${artifact.stage} ${artifact.key} ${artifact.contentSha256}`))].sort();
    expect(hashes(stages)).toEqual(hashes(expected));
    process.stdout.write(`peak of shards ${peak.shards} of ${bytes} bytes, of all ${peak.all} on a disk of ${diskBytes}\n`);
    expect(peak.all).toBeLessThanOrEqual(diskBytes);
    // the window, and what a kill left half written until the next shards were deleted
    expect(peak.shards).toBeLessThanOrEqual(7 * 1.06e6);
    const store = openStore(join(folder, 'store'));
    for (const { artifact } of stages) expect(await verifyArtifact(store, artifact, { ancestors: false })).toEqual([]);
  } finally {
    await processes?.stop();
    await disk?.unmount();
    await rm(folder, { recursive: true, force: true });
  }
});

/** Steps that the slowest of the trainings is at. */
async function untilStep(handle: WorkflowHandle, step: number): Promise<void> {
  for (;;) {
    const { stages } = await handle.query<RunProgress>(runProgressQuery).catch(() => ({ stages: [] as StageProgress[] }));
    const trainings = stages.filter(({ stage }) => stage === 'trainSae');
    if (trainings.length > 0 && trainings.every(({ done }) => done >= step)) return;
    const failed = stages.find(({ state }) => state === 'failed' || state === 'blocked');
    if (failed !== undefined) throw new Error(`${failed.stage} ${failed.state}`);
    await sleep(100);
  }
}

/** Looks again and again how much of the disk is taken. */
async function watched(processes: Processes): Promise<{ client: Awaited<ReturnType<Processes['client']>>; peak: { shards: number; all: number }; stopWatching: () => void }> {
  const peak = { shards: 0, all: 0 };
  let watching = true;
  void (async () => {
    while (watching) {
      const sizes = await sizesIn(processes.storeDir);
      const sum = (paths: [string, number][]) => paths.reduce((total, [, size]) => total + size, 0);
      peak.shards = Math.max(peak.shards, sum(sizes.filter(([path]) => path.includes('sampleActivations') && path.includes('/shards/'))));
      peak.all = Math.max(peak.all, sum(sizes));
      await sleep(20);
    }
  })();
  return { client: await processes.client(), peak, stopWatching: () => (watching = false) };
}

async function sizesIn(folder: string): Promise<[string, number][]> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return Promise.all(files.map(async (path): Promise<[string, number]> => [path, (await stat(path).catch(() => ({ size: 0 }))).size]));
}
