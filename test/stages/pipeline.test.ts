// The stages themselves, without Temporal: what an unbroken run makes, that a run interrupted anywhere makes the same,
// and that each kind of damage is refused by name.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { artifactPath, readManifest, specKey, verifyArtifact, writeSpec } from '../../data/artifact.ts';
import { openStore, type ArtifactStore } from '../../data/artifactStore.ts';
import { resolveCorpusFiles } from '../../data/corpusFiles.ts';
import { corpusPath, planStage } from '../../data/plans.ts';
import { buildReport } from '../../data/report.ts';
import { resolveInput } from '../../presets/resolve.ts';
import type { PipelineConfig } from '../../schemas/config.ts';
import { featureChunk, featureIndex, runPage } from '../../schemas/dashboard.ts';
import { UserError } from '../../schemas/errors.ts';
import type { Job } from '../../schemas/jobs.ts';
import type { StageResult } from '../../schemas/progress.ts';
import { RandomStream } from '../../schemas/random.ts';
import type { StageName, StageSpec } from '../../schemas/stages.ts';
import { StoppedError } from '../../stages/context.ts';
import { runJob } from '../../stages/jobs.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { writeTestCorpus } from '../../bench/corpus.ts';
import { runPipeline, runStage } from '../../stages/inProcess.ts';

const corpusKey = 'c'.repeat(64);
let folder: string;
let config: PipelineConfig;
let unbroken: ArtifactStore;
let results: StageResult[];

const newStore = async (name: string): Promise<ArtifactStore> => {
  const store = openStore(join(folder, name));
  const files = await resolveCorpusFiles([join(folder, 'corpus.jsonl')], folder);
  await store.put(corpusPath(corpusKey), Buffer.from(JSON.stringify(files)));
  return store;
};
const hashes = (stages: StageResult[]) => stages.map(({ artifact }) => [artifact.stage, artifact.key, artifact.contentSha256]);
const artifact = (stage: StageName) => results.find((result) => result.artifact.stage === stage)!.artifact;

beforeAll(async () => {
  await loadBackend({});
  folder = await mkdtemp(join(tmpdir(), 'saeflow-stages-'));
  await writeTestCorpus(join(folder, 'corpus.jsonl'));
  config = resolveInput({ preset: 'tiny' });
  unbroken = await newStore('unbroken');
  results = await runPipeline(unbroken, config, corpusKey);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('an unbroken run', () => {
  it('makes all five artifacts, each verified by its hashes and its ancestors', async () => {
    expect(results.map((result) => result.artifact.stage)).toEqual(['tokenize', 'trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard']);
    for (const { artifact } of results) expect(await verifyArtifact(unbroken, artifact, { ancestors: true })).toEqual([]);
  });

  it('learns: held-out loss falls below the unigram loss, and the SAE recovers most of it', async () => {
    const report = await buildReport(unbroken, { run: 'tiny', configHash: 'a'.repeat(64), config, stages: results, workflowId: 'saeflow/tiny', finishedAt: new Date(0).toISOString(), changes: { previous: null, nothingNew: false, summary: 'the first', saes: [] } });
    expect(report.transformer.valLoss).toBeLessThan(report.transformer.unigramLoss);
    expect(report.sae.losses.clean).toBeCloseTo(report.transformer.valLoss, 0);
    expect(report.sae.losses.zero).toBeGreaterThan(report.sae.losses.clean);
    expect(report.sae.lossRecovered).toBeCloseTo((report.sae.losses.zero - report.sae.losses.reconstructed) / (report.sae.losses.zero - report.sae.losses.clean), 10);
    expect(report.sae.alive + report.sae.dead + report.sae.ultraLow).toBe(64);
    expect(report.sae.resamplings.map(({ step }) => step)).toEqual([20, 40]);
    // 4,096 tokens are too few documents for any probe, and the report says so
    expect(report.sae.probes.map(({ name }) => name)).toEqual(config.dashboard.probes.map(({ name }) => name));
    expect(report.sae.probes.some(({ enough }) => enough)).toBe(false);
    expect(report.sae.probes.some(({ support, f1, feature }) => support > 0 && f1 > 0 && feature >= 0)).toBe(true);
    expect(report.sae.probes.find(({ name }) => name === 'Hebrew')).toMatchObject({ feature: -1, support: 0 });
    expect(report.coverage).toEqual({ once: 512 * 16, moreThanOnce: 0, never: report.tokens.train - 512 * 16 });
  });

  it('finds every stage when it is asked for again', async () => {
    const again = await runPipeline(unbroken, config, corpusKey);
    expect(again.every(({ cached }) => cached)).toBe(true);
    expect(hashes(again)).toEqual(hashes(results));
  });

  it('with another λ makes only the SAE and its dashboard again', async () => {
    const changed = { ...config, saes: [{ ...config.saes[0]!, l1Coefficient: 8e-3 }] };
    const again = await runPipeline(unbroken, changed, corpusKey);
    expect(again.map(({ artifact, cached }) => [artifact.stage, cached])).toEqual([['tokenize', true], ['trainTransformer', true], ['sampleActivations', true], ['trainSae', false], ['exportDashboard', false]]);
  });

  it('writes a dashboard whose numbers agree with each other', async () => {
    const json = async (path: string) => JSON.parse(Buffer.from(await unbroken.get(artifactPath(artifact('exportDashboard'), path))).toString()) as unknown;
    const index = featureIndex.parse(await json('site/data/index.json'));
    const page = runPage.parse(await json('site/data/run.json'));
    const chunks = await Promise.all(Array.from({ length: 8 }, async (_, chunk) => featureChunk.parse(await json(`site/data/features/0000${chunk}.json`))));
    const pages = chunks.flat();
    expect(pages.map(({ feature }) => feature)).toEqual(Array.from({ length: 64 }, (_, feature) => feature));
    expect(pages.map(({ density }) => density)).toEqual(index.density);
    // L0 is the sum of the densities
    expect(index.density.reduce((a, b) => a + b, 0)).toBeCloseTo(page.sae.l0, 1);
    for (const { count, histogram, top, maxActivation, logits } of pages.filter((one) => one.count > 0)) {
      expect(histogram.reduce((a, b) => a + b, 0)).toBe(count);
      expect(top[0]!.value).toBe(maxActivation);
      expect(logits.top[0]!.value).toBeGreaterThanOrEqual(logits.bottom[0]!.value);
      expect(logits.histogram.counts.reduce((a, b) => a + b, 0)).toBe(512);
    }
  });
});

describe('a run stopped at random steps', () => {
  it.each([1, 2])('ends with the hashes of the unbroken one (seed %i)', async (seed) => {
    const store = await newStore(`stopped-${seed}`);
    const stream = new RandomStream(seed, 'stops');
    let stops = 0;
    for (const { artifact } of results) {
      const spec = JSON.parse(Buffer.from(await unbroken.get(artifactPath(artifact, 'spec.json'))).toString()) as StageSpec;
      await writeSpec(store, artifact, spec);
      const plan = await planStage(store, spec);
      const common = { artifact: { stage: spec.stage, key: specKey(spec) }, storeUri: store.uri };
      const last = plan.milestones.at(-1);
      const jobs: Job[] = [];
      if (spec.stage === 'trainTransformer') jobs.push({ kind: 'trainTransformerSegment', ...common, toStep: plan.milestones[0]! }, { kind: 'trainTransformerSegment', ...common, toStep: plan.milestones[1]! }, { kind: 'trainTransformerSegment', ...common, toStep: last! });
      if (spec.stage === 'trainSae') {
        jobs.push({ kind: 'initialiseSae', ...common });
        for (const toStep of plan.milestones) {
          jobs.push({ kind: 'trainSaeSegment', ...common, toStep });
          if (plan.resamplings.includes(toStep)) jobs.push({ kind: 'resampleSae', ...common, step: toStep });
        }
      }
      for (const job of jobs) stops += await runWithStops(store, job, stream);
      // what is left of the stage, and the parts that were stopped, are found by their checkpoints and receipts
      await runStage(store, spec);
    }
    expect(stops).toBeGreaterThan(5);
    for (const { artifact } of results) {
      const made = await readManifest(store, artifact);
      expect([artifact.stage, made?.contentSha256]).toEqual([artifact.stage, artifact.contentSha256]);
    }
  });
});

/** Runs a job to its end, stopping it at seeded steps and starting it again. */
async function runWithStops(store: ArtifactStore, job: Job, stream: RandomStream): Promise<number> {
  for (let stops = 0; ; stops++) {
    const patience = 1 + stream.integer(9);
    let asked = 0;
    try {
      await runJob(job, { store, device: 'cpu', report: () => undefined, shouldStop: () => ++asked === patience });
      return stops;
    } catch (error) {
      if (!(error instanceof StoppedError)) throw error;
    }
  }
}

describe('damage and impossible combinations are refused by name', () => {
  it('a corrupted activation shard names the file and the hash', async () => {
    const store = await newStore('corrupted');
    const upTo = results.slice(0, 3).map(({ artifact }) => artifact);
    for (const id of upTo) for (const { path } of await unbroken.list(`${id.stage}/${id.key}/`)) await store.put(path, await unbroken.get(path));
    const shard = join(folder, 'corrupted', artifactPath(upTo[2]!, 'shards/00001.parquet'));
    const bytes = await readFile(shard);
    bytes[1000]! ^= 1;
    await writeFile(shard, bytes);
    const spec: StageSpec = { stage: 'trainSae', config: { seed: config.seed, sae: config.saes[0]! }, inputs: { sampleActivations: upTo[2]!.key } };
    await expect(runStage(store, spec)).rejects.toThrow(/shards\/00001\.parquet/);
    await expect(runStage(store, spec)).rejects.toBeInstanceOf(UserError);
  });

  it('an SAE batch larger than the data', async () => {
    const sae = { ...config.saes[0]!, batchSize: 100_000 };
    const spec: StageSpec = { stage: 'trainSae', config: { seed: 1, sae }, inputs: { sampleActivations: artifact('sampleActivations').key } };
    await expect(planStage(unbroken, spec)).rejects.toThrow('saes[].batchSize 100000 is larger than the data: 8192 vectors');
  });

  it('more prompts than the corpus holds', async () => {
    const activations = { ...config.activations, prompts: 10_000_000 };
    const spec: StageSpec = { stage: 'sampleActivations', config: { seed: 1, hook: 'blocks.0.mlp.hook_post', activations }, inputs: { tokenize: artifact('tokenize').key, trainTransformer: artifact('trainTransformer').key } };
    await expect(planStage(unbroken, spec)).rejects.toThrow(/activations\.prompts: 10000000 prompts asked for, but/);
  });

  it('a stage whose input was never made', async () => {
    const spec: StageSpec = { stage: 'trainSae', config: { seed: 1, sae: config.saes[0]! }, inputs: { sampleActivations: 'd'.repeat(64) } };
    await expect(planStage(unbroken, spec)).rejects.toThrow(/the sampleActivations stage has not finished there/);
  });
});
