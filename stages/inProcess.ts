// The pipeline without Temporal, in one process: plan, run each job once, commit. Tests compare the durable runs with it:
// they must end with the same hashes, whatever was killed on the way. Benches of what is learnt run on it.
import { hostname } from 'node:os';
import { readManifest, refOf, specKey, writeManifest, writeSpec } from '../data/artifact.ts';
import type { ArtifactStore } from '../data/artifactStore.ts';
import { commitFiles, deleteWork } from '../data/commit.ts';
import { planStage } from '../data/plans.ts';
import { dropShards, isOnlyForReceipt, shardsThere } from '../data/shardFiles.ts';
import { planReading, planSupply, type ReadingJob } from '../data/supplyPlan.ts';
import { spentOn } from '../data/spent.ts';
import type { Manifest } from '../schemas/artifact.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import type { Job, JobProgress } from '../schemas/jobs.ts';
import type { StageResult } from '../schemas/progress.ts';
import { stageVersions, type SpecOf, type StageSpec } from '../schemas/stages.ts';
import type { Reading } from '../schemas/supply.ts';
import type { JobContext } from './context.ts';
import { runJob } from './jobs.ts';

export interface InProcessOptions {
  onProgress?: (job: Job, progress: JobProgress) => void;
  onStage?: (manifest: Manifest, seconds: number) => void;
}

/** Runs one stage to its manifest, or finds it. */
export async function runStage(store: ArtifactStore, spec: StageSpec, options: InProcessOptions = {}): Promise<StageResult> {
  const artifact = { stage: spec.stage, key: specKey(spec) };
  const found = await readManifest(store, artifact);
  if (found !== null) return { artifact: refOf(found, store.uri), cached: true };
  const started = performance.now();
  await writeSpec(store, artifact, spec);
  const plan = await planStage(store, spec);
  const { supply } = await planSupply(store, spec);
  const common = { artifact, storeUri: store.uri };
  const run = async (job: Job) => {
    const context: JobContext = { store, device: 'cpu', report: (progress) => options.onProgress?.(job, progress), shouldStop: () => false };
    await runJob(job, context);
  };
  const shards = Array.from({ length: plan.shards }, (_, shard) => shard);
  if (spec.stage === 'tokenize') for (const shard of shards) await run({ kind: 'tokenizeShard', ...common, shard });
  if (spec.stage === 'sampleActivations') {
    for (const shard of shards) {
      await run({ kind: 'sampleShard', ...common, shard });
      if (await isOnlyForReceipt(store, artifact, shard)) await dropShards(store, artifact, [shard]);
    }
  }
  if (spec.stage === 'trainTransformer') for (const toStep of plan.milestones) await run({ kind: 'trainTransformerSegment', ...common, toStep });
  if (spec.stage === 'trainSae') {
    const supplied = supply === undefined ? undefined : (job: ReadingJob) => supplyShards(store, spec, job, run);
    await supplied?.({ kind: 'initialise' });
    await run({ kind: 'initialiseSae', ...common });
    for (const toStep of plan.milestones) {
      for (let from = 0; supplied !== undefined && from < toStep; ) {
        const { stopAt } = await supplied({ kind: 'segment', from, toStep, absent: false });
        await run({ kind: 'trainSaeSegment', ...common, toStep, stopAt });
        from = stopAt;
      }
      await run({ kind: 'trainSaeSegment', ...common, toStep });
      if (plan.resamplings.includes(toStep)) await supplied?.({ kind: 'resample', step: toStep });
      if (plan.resamplings.includes(toStep)) await run({ kind: 'resampleSae', ...common, step: toStep });
    }
  }
  if (spec.stage === 'exportDashboard') {
    for (const shard of shards) await run({ kind: 'readFeaturesShard', ...common, shard });
    for (let block = 0; block < plan.blocks; block++) await run({ kind: 'writeFeaturesBlock', ...common, block });
    await run({ kind: 'mapFeatures', ...common });
    await run({ kind: 'writeTexts', ...common, shard: plan.shards + plan.blocks + 1 });
  }
  const { files, metrics, badLines, receipts } = await commitFiles(store, artifact);
  const manifest = await writeManifest(store, {
    stage: spec.stage,
    stageVersion: stageVersions[spec.stage],
    key: artifact.key,
    config: spec.config,
    inputs: spec.inputs,
    files,
    shards: { total: receipts.length, skipped: [] },
    metrics,
    badLines,
    provenance: { codeVersion: 'in-process', machine: hostname(), backend: 'tensorflow', threads: 2, node: process.version, createdAt: new Date(0).toISOString(), ...spentOn(receipts) },
  });
  await deleteWork(store, artifact);
  options.onStage?.(manifest, (performance.now() - started) / 1000);
  return { artifact: refOf(manifest, store.uri), cached: false };
}

/** Has the shards of a job there, and under `consume` no others that were made: no window, for nothing is made ahead. */
async function supplyShards(store: ArtifactStore, spec: SpecOf<'trainSae'>, job: ReadingJob, run: (job: Job) => Promise<void>): Promise<Reading> {
  const artifact = { stage: 'sampleActivations', key: spec.inputs.sampleActivations } as const;
  const reading = await planReading(store, spec, job);
  const { present, retention } = await shardsThere(store, artifact);
  const read = retention === 'consume' ? present.filter((shard) => !reading.need.includes(shard)) : [];
  if (read.length > 0) await dropShards(store, artifact, read);
  for (const shard of reading.need) await run({ kind: 'sampleShard', artifact, storeUri: store.uri, shard, again: true });
  return reading;
}

/** All five stages of a configuration whose corpus is already in the store under `corpusKey`. */
export async function runPipeline(store: ArtifactStore, config: PipelineConfig, corpusKey: string, options: InProcessOptions = {}): Promise<StageResult[]> {
  const { seed } = config;
  const results: StageResult[] = [];
  const run = async (spec: StageSpec) => {
    const result = await runStage(store, spec, options);
    results.push(result);
    return result.artifact.key;
  };
  const tokenize = await run({ stage: 'tokenize', config: { corpus: config.corpus, tokenize: config.tokenize }, inputs: { corpus: corpusKey } });
  const trainTransformer = await run({ stage: 'trainTransformer', config: { seed, ...config.transformer }, inputs: { tokenize } });
  const consumed = config.activations.retention === 'consume';
  for (const sae of config.saes) {
    const sampling: StageSpec = { stage: 'sampleActivations', config: { seed, hook: sae.hook, activations: config.activations }, inputs: { tokenize, trainTransformer } };
    const sampleActivations = consumed ? specKey(sampling) : await run(sampling);
    if (consumed) await writeSpec(store, { stage: sampling.stage, key: sampleActivations }, sampling);
    const trainSae = await run({ stage: 'trainSae', config: { seed, sae }, inputs: { sampleActivations } });
    if (consumed) await run(sampling);
    await run({ stage: 'exportDashboard', config: { dashboard: config.dashboard }, inputs: { tokenize, trainTransformer, sampleActivations, trainSae } });
  }
  return results;
}
