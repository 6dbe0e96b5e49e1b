// Shards that fail, each in a way of its own, with everything real: server, worker, compute processes, TensorFlow, store.
// The stage parks them with a reason that says what to do, goes on with the others, and once helped ends with the bytes
// of a run in which nothing failed.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { TestWorkflowEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runsOf } from '../../bench/histories.ts';
import { summarize } from '../../cli/summary.ts';
import { artifactPath, readManifest, specKey, verifyArtifact } from '../../data/artifact.ts';
import { removeDamaged, settleRepair } from '../../data/repair.ts';
import { openStore } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { corpusPath } from '../../data/plans.ts';
import { promptPlanOf } from '../../data/promptPlans.ts';
import { temporaryPrefix } from '../../data/storePath.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { ArtifactRef } from '../../schemas/artifact.ts';
import { runPage } from '../../schemas/dashboard.ts';
import { taskQueues, type PipelineResult, type StageInput, type StageProgress, type StageResult } from '../../schemas/progress.ts';
import { report } from '../../schemas/report.ts';
import type { SpecOf } from '../../schemas/stages.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { startWorkers } from '../../workers/worker.ts';
import { abortUpdate, resumeSignal, retryFailedShardsUpdate, skipFailedShardsUpdate } from '../../workflows/messages.ts';
import { activationsSpec, tokenizeSpec, transformerSpec } from '../../workflows/specs.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { runStage } from '../../stages/inProcess.ts';
import { idOf, listed, startStage, stageWorkflowOf, until, untilState } from '../workflows/fixtures.ts';
import { startTemporal } from '../workflows/temporalEnvironment.ts';
import { faultsVariable, type Faults } from './faults.ts';
import { mountSmallDisk } from './smallDisk.ts';

/** Five token shards; a shard of activations is two prompts, which lie in at most two of them. */
const overrides = {
  preset: 'tiny',
  tokenize: { shardBytes: 64 * 2 ** 10 },
  activations: { prompts: 16, positionsPerPrompt: 16, promptsPerShard: 2, batchPrompts: 2 },
};
const shards = 8;
/** Longer than TensorFlow takes to load on a busy machine, during which a process is silent. */
const silenceLimitMs = 10_000;
const long = { timeout: 240_000 };

let scratch: string;
let environment: TestWorkflowEnvironment;
let corpus: string;
let faultsFile: string;
let inputs: { tokenize: string; trainTransformer: string };
let stores = 0;
let seed = 100;

beforeAll(async () => {
  environment = await startTemporal();
  scratch = await mkdtemp(join(tmpdir(), 'saeflow-failed-'));
  faultsFile = join(scratch, 'faults.json');
  process.env[faultsVariable] = faultsFile;
  corpus = await writeTestCorpus(join(scratch, 'corpus.jsonl'), 40);
  await loadBackend({});
  const store = openStore(join(scratch, 'base'));
  await store.put(corpusPath('c'.repeat(64)), Buffer.from(JSON.stringify(await resolveCorpusFiles([corpus], scratch))));
  const { artifact: tokens } = await runStage(store, tokenize());
  const { artifact: model } = await runStage(store, transformerSpec(resolveInput(overrides), { tokenize: tokens.key }));
  inputs = { tokenize: tokens.key, trainTransformer: model.key };
}, 600_000);
afterAll(async () => {
  await environment?.teardown();
  await rm(scratch, { recursive: true, force: true });
});

const tokenize = () => tokenizeSpec(resolveInput(overrides), 'c'.repeat(64));
const inject = (faults: Faults) => writeFile(faultsFile, JSON.stringify(faults));

/** Activations that no other test makes. */
function freshActivations(activations: object = {}): SpecOf<'sampleActivations'> {
  const config = resolveInput({ ...overrides, seed: seed++, activations: { ...overrides.activations, ...activations } });
  return activationsSpec(config, config.saes[0]!.hook, inputs);
}

/** A store of its own with the tokens and the model. */
async function freshStore(folder = join(scratch, `store-${stores++}`)): Promise<string> {
  await mkdir(folder, { recursive: true });
  await cp(join(scratch, 'base'), folder, { recursive: true });
  return folder;
}

/** What the stage makes where nothing fails. */
async function unbroken(spec: SpecOf<'sampleActivations'>): Promise<string> {
  return (await runStage(openStore(await freshStore()), spec)).artifact.contentSha256;
}

/** Runs `work` with a worker of all queues on the store, whose compute processes meet the faults of the file. */
async function serving(storeUri: string, work: () => Promise<void>): Promise<void> {
  await inject({});
  const workers = await startWorkers({
    connection: { address: environment.address },
    storeUri,
    queues: ['workflows', 'cpu', 'gpu'],
    computeEntry: resolve(import.meta.dirname, 'faultyCompute.ts'),
    silenceLimitMs,
  });
  const running = workers.run();
  try {
    await work();
  } finally {
    workers.shutdown();
    await running;
  }
}

/** What a person sees of a blocked stage: its progress, the list view, and the reasons in its details. */
async function expectParked(handle: WorkflowHandle, parked: readonly number[], done = shards - parked.length): Promise<string> {
  expect(await untilState(handle, 'blocked')).toMatchObject({ done, failedShards: parked.length });
  await until(async () => (await listed(environment.client, `SaeflowFailedShards = ${parked.length} AND WorkflowId = '${handle.workflowId}'`)).length === 1);
  const metadata = await handle.query<{ currentDetails?: string }>('__temporal_workflow_metadata');
  const details = metadata.currentDetails ?? '';
  for (const shard of parked) expect(details).toContain(`- shard ${shard}: `);
  expect(details).toContain('`retryFailedShards`');
  return details;
}

/** Shard activities of each round: the first pass, then the retries. */
async function activitiesByRound(workflowId: string): Promise<number[]> {
  const rounds: number[] = [];
  for await (const { workflowId: id, activities, type } of runsOf(environment.client, workflowId)) {
    const round = Number(/-retry-(\d+)-\d+$/.exec(id)?.[1] ?? 0);
    if (type === 'shardPartition') rounds[round] = (rounds[round] ?? 0) + activities.length;
  }
  return rounds;
}

async function expectUnbroken(handle: WorkflowHandle<(input: StageInput) => Promise<StageResult>>, spec: SpecOf<'sampleActivations'>): Promise<ArtifactRef> {
  const { artifact } = await handle.result();
  expect(artifact.contentSha256).toBe(await unbroken(spec));
  return artifact;
}

it('a damaged input: the shards that read it park with file, both hashes and remedy; repaired and retried, only they run again', long, async () => {
  const uri = await freshStore();
  const store = openStore(uri);
  await serving(uri, async () => {
    const { client } = environment;
    const spec = freshActivations();
    const tokensId = { stage: 'tokenize', key: inputs.tokenize } as const;
    const { path, sha256, touched } = await tokenFileOfSome(uri, spec);
    const file = join(uri, artifactPath(tokensId, path));
    const bytes = await readFile(file);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(file, bytes);

    const handle = await startStage(client, spec, { concurrency: 2, shardAttempts: 3 });
    const details = await expectParked(handle, touched);
    const [problem, ...others] = await verifyArtifact(store, tokensId, { ancestors: false });
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ expected: sha256 });
    // keys and hashes are shown by their beginnings
    const shown = `${file} is corrupted: SHA-256 ${sha256} (${bytes.length} bytes) expected, ${problem!.found} (${bytes.length} bytes) found Put the file back from a copy, or run saeflow repair`;
    expect(details).toContain(shown.replace(/([0-9a-f]{12})[0-9a-f]{52}/g, '$1…'));

    // what `saeflow repair` does: the piece out, then the stage that made the file, then the comparison
    expect(await removeDamaged(store, tokensId, [problem!])).toMatchObject({ shards: [Number(/(\d+)\.train\.bin/.exec(path)![1])], leftOut: [] });
    const made = await (await startStage(client, tokenize())).result();
    expect(made.cached).toBe(false);
    expect(await settleRepair(store, tokensId)).toMatchObject({ changed: [], putBack: false });
    expect(await verifyArtifact(store, tokensId, { ancestors: false })).toEqual([]);
    expect(await handle.executeUpdate(retryFailedShardsUpdate, { args: [{}] })).toEqual(touched);
    await expectUnbroken(handle, spec);
    expect(await activitiesByRound(idOf(spec))).toEqual([shards, touched.length]);
  });
});

it('a crash of native code and a kernel that hangs: parked as ComputeProcessDied, with how and at which shard; healed, retried one by one', long, async () => {
  const uri = await freshStore();
  await serving(uri, async () => {
    await inject({ 'sampleShard/2': 'crash', 'sampleShard/5': 'hang' });
    const spec = freshActivations();
    const handle = await startStage(environment.client, spec, { concurrency: 2, shardAttempts: 2 });
    // the crash is reported at once, while the hang goes on
    await until(async () => (await handle.query<StageProgress>('progress').catch(() => undefined))?.failedShards === 1);
    const details = await expectParked(handle, [2, 5]);
    expect(details).toMatch(/- shard 2: `ComputeProcessDied: the compute process \(pid \d+\) was ended by SIGSEGV while it worked on sampleShard shard 2 of sampleActivations\//);
    expect(details).toMatch(/- shard 5: `ComputeProcessDied: the compute process \(pid \d+\) made no progress for 10 s, was taken to hang and was ended by SIGKILL while it worked on sampleShard shard 5 /);

    await inject({ 'sampleShard/5': 'hang' });
    expect(await handle.executeUpdate(retryFailedShardsUpdate, { args: [{ shards: [2] }] })).toEqual([2]);
    await expectParked(handle, [5]);
    await inject({});
    expect(await handle.executeUpdate(retryFailedShardsUpdate, { args: [{}] })).toEqual([5]);
    await expectUnbroken(handle, spec);
    expect(await activitiesByRound(idOf(spec))).toEqual([shards, 1, 1]);
  });
});

it('a full disk: parked as DiskFull with folder, bytes and remedy; when there is room again the retry finishes, and no litter is left', long, async () => {
  const disk = await mountSmallDisk(join(scratch, 'small-disk'), 16 * 2 ** 20);
  try {
    const uri = await freshStore(join(disk.folder, 'store'));
    await serving(uri, async () => {
      // shards of 72 KB on a disk that, once the stage is planned, has room for receipts
      const spec = freshActivations({ prompts: 128, promptsPerShard: 32, batchPrompts: 32 });
      const handle = await startStage(environment.client, spec, { shardAttempts: 1 }, { paused: true });
      await untilState(handle, 'paused');
      await disk.fill(60_000);
      await handle.signal(resumeSignal);
      const details = await expectParked(handle, [0, 1, 2, 3], 0);
      expect(details).toMatch(/- shard 0: `DiskFull: .*: no room to write \d+ bytes; \d+ bytes are free \(ENOSPC\) Free space on that disk/);
      expect((await readdir(uri, { recursive: true })).filter((path) => path.includes(temporaryPrefix))).toEqual([]);

      await disk.free();
      await handle.executeUpdate(retryFailedShardsUpdate, { args: [{}] });
      await expectUnbroken(handle, spec);
      expect(await activitiesByRound(idOf(spec))).toEqual([4, 4]);
    });
  } finally {
    await disk.unmount();
  }
});

it('skipping is refused below minShardFraction, with the arithmetic, and accepted down to it; report and dashboard say what was left out', long, async () => {
  const uri = await freshStore();
  await serving(uri, async () => {
    await inject({ 'sampleShard/1': 'crash', 'sampleShard/2': 'crash' });
    const activations = { prompts: 512, promptsPerShard: 128, batchPrompts: 32 };
    const input = { ...overrides, name: 'skipping', seed: seed++, corpus: { paths: [corpus] }, activations: { ...overrides.activations, ...activations }, execution: { shardAttempts: 1, minShardFraction: 0.75 } };
    const run = await environment.client.workflow.start<(input: unknown) => Promise<PipelineResult>>('pipeline', { workflowId: 'skipping', taskQueue: taskQueues.workflows, args: [input] });
    const stage = environment.client.workflow.getHandle(await stageWorkflowOf(run, 'sampleActivations'));
    await expectParked(stage, [1, 2], 2);
    await expect(stage.executeUpdate(skipFailedShardsUpdate, { args: [{}] })).rejects.toMatchObject({ cause: { message: expect.stringContaining('skipping 2 shards would leave 2 of 4, less than execution.minShardFraction 0.75') as string } });
    expect(await stage.executeUpdate(skipFailedShardsUpdate, { args: [{ shards: [1] }] })).toEqual([1]);
    await expectParked(stage, [2], 2);
    await inject({});
    expect(await stage.executeUpdate(retryFailedShardsUpdate, { args: [{}] })).toEqual([2]);

    const { reportUri, stages } = await run.result();
    const said = report.parse(JSON.parse(await readFile(reportUri, 'utf8')));
    const vectors = 3 * 128 * 16;
    expect(said.stages[2]).toMatchObject({ name: 'sampleActivations', shards: 4, skippedShards: [1] });
    expect(said.coverage).toEqual({ once: vectors, moreThanOnce: 0, never: said.tokens.train - vectors });
    expect(summarize(said)).toContain('LEFT OUT     1 of 4 shards of sampleActivations, by decision after they failed: 1');
    const page = runPage.parse(JSON.parse(await readFile(join(uri, artifactPath(stages.at(-1)!.artifact, 'site/data/run.json')), 'utf8')));
    expect(page.lineage.map(({ skipped }) => skipped)).toEqual([undefined, undefined, { shards: [1], total: 4 }, undefined]);
  });
});

it('abort gives the stage up; started again it makes only what is missing', long, async () => {
  const uri = await freshStore();
  await serving(uri, async () => {
    await inject({ 'sampleShard/3': 'crash' });
    const spec = freshActivations();
    const handle = await startStage(environment.client, spec, { shardAttempts: 1 });
    await expectParked(handle, [3]);
    await handle.executeUpdate(abortUpdate, { args: ['not worth it'] });
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'Aborted', message: 'aborted with 1 of 8 shards parked: not worth it' } });
    expect(await readManifest(openStore(uri), { stage: 'sampleActivations', key: specKey(spec) })).toBeNull();

    await inject({});
    const again = await startStage(environment.client, spec);
    await expectUnbroken(again, spec);
    expect(await shardsMade(`${idOf(spec)}/sampleShard-0`)).toEqual([3]);
  });
});

/** The first file of tokens that some, not all, of the stage's shards read: its path and hash, and those shards. */
async function tokenFileOfSome(uri: string, spec: SpecOf<'sampleActivations'>): Promise<{ path: string; sha256: string; touched: number[] }> {
  const store = openStore(uri);
  const plan = await promptPlanOf(store, spec);
  const { contextLength } = resolveInput(overrides).transformer.architecture;
  const { promptsPerShard } = spec.config.activations;
  const { files } = (await readManifest(store, { stage: 'tokenize', key: inputs.tokenize }))!;
  let start = 0;
  for (const { path, sha256, rows = 0 } of files.filter((file) => file.path.endsWith('.train.bin'))) {
    const [from, to] = [start, start + rows];
    const touched = new Set<number>();
    for (let prompt = 0; prompt < plan.prompts; prompt++) if (plan.offset(prompt) < to && plan.offset(prompt) + contextLength > from) touched.add(Math.floor(prompt / promptsPerShard));
    if (touched.size > 0 && touched.size < shards) return { path, sha256, touched: [...touched].sort((a, b) => a - b) };
    start = to;
  }
  throw new Error('every file of tokens is read by all shards or none');
}

/** Shards of a partition's last run that were computed, not found in the store. */
async function shardsMade(workflowId: string): Promise<number[]> {
  const { events } = await environment.client.workflow.getHandle(workflowId).fetchHistory();
  const summaries = (events ?? []).flatMap(({ activityTaskCompletedEventAttributes: completed }) => (completed?.result?.payloads ?? []).map(({ data }) => JSON.parse(Buffer.from(data!).toString()) as { shard: number; found: boolean }));
  return summaries.filter(({ found }) => !found).map(({ shard }) => shard);
}
