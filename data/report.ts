// report.json: a run's numbers from the manifests of its artifacts. Every one was computed by the stage that knew it;
// nothing is measured here.
import { z } from 'zod';
import type { ArtifactRef, Manifest } from '../schemas/artifact.ts';
import type { Changes } from '../schemas/comparison.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import { featureIndex, probesPage } from '../schemas/dashboard.ts';
import { divergence } from '../schemas/divergence.ts';
import { UserError } from '../schemas/errors.ts';
import { resamplingResult } from '../schemas/jobs.ts';
import type { StageResult } from '../schemas/progress.ts';
import { report, type Report } from '../schemas/report.ts';
import type { StageName } from '../schemas/stages.ts';
import { artifactPath, readManifest } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { rowsOf } from './inputs.ts';

export interface FinishedRun {
  run: string;
  configHash: string;
  config: PipelineConfig;
  /** In the order of the pipeline; the n-th trainSae and exportDashboard belong to the n-th of config.saes. */
  stages: StageResult[];
  workflowId: string;
  /** ISO 8601. */
  finishedAt: string;
  changes: Changes;
}

/** Where the report of the latest run of a configuration is. */
export function reportPath(run: string, configHash: string): string {
  return `runs/${run}-${configHash.slice(0, 12)}/report.json`;
}

/** The report of a finished run. Throws UserError when an artifact is missing from the store. */
export async function buildReport(store: ArtifactStore, { run, configHash, config, stages, workflowId, finishedAt, changes }: FinishedRun): Promise<Report> {
  const artifacts = (stage: StageName) => stages.map(({ artifact }) => artifact).filter((artifact) => artifact.stage === stage);
  const one = async (stage: StageName, index = 0) => manifestOf(store, artifacts(stage)[index], stage);
  const tokenize = await one('tokenize');
  const transformer = await one('trainTransformer');
  const activations = await one('sampleActivations');
  const saes = await Promise.all(
    config.saes.map(async (sae, index) => saeReport(store, sae, await one('trainSae', index), await one('exportDashboard', index))),
  );
  const { trainTokens, heldOutTokens, unigramLoss } = tokenize.metrics;
  return report.parse({
    run,
    configHash,
    workflowId,
    finishedAt,
    stages: await Promise.all(stages.map((stage) => stageReport(store, stage))),
    tokens: { train: trainTokens, heldOut: heldOutTokens },
    transformer: { valLoss: transformer.metrics['valLoss'], unigramLoss, parameters: transformer.metrics['parameters'], divergences: await rowsOf(store, transformer, 'divergences.jsonl', divergence) },
    sae: saes[0],
    saes,
    coverage: { once: activations.metrics['once'], moreThanOnce: activations.metrics['moreThanOnce'], never: activations.metrics['never'] },
    sampling: samplingOf(activations),
    dashboards: config.saes.map((sae, index) => ({ sae: sae.name, site: artifactPath(artifacts('exportDashboard')[index]!, 'site') })),
    changes,
  });
}

function samplingOf({ metrics }: Manifest): Report['sampling'] {
  const { positions, vectors, flops, fullFlops, overflows, largest } = metrics;
  if (positions === undefined) return undefined;
  return { positions, vectors: vectors!, flopsAvoided: 1 - flops! / fullFlops!, overflows: overflows!, largest: largest! };
}

async function stageReport(store: ArtifactStore, { artifact, cached }: StageResult) {
  const { stage, key, seconds, device, bytes } = artifact;
  const { shards } = await manifestOf(store, artifact, stage);
  return { name: stage, key, cached, seconds, device, bytes, shards: shards.total, skippedShards: shards.skipped };
}

async function saeReport(store: ArtifactStore, { name, hook, features }: PipelineConfig['saes'][number], sae: Manifest, dashboard: Manifest) {
  const { lossClean: clean, lossReconstructed: reconstructed, lossZero: zero, lossMean: mean, ...metrics } = dashboard.metrics;
  const resamplings = await rowsOf(store, sae, 'resamplings.jsonl', resamplingResult);
  return {
    name,
    hook,
    features,
    ...metrics,
    losses: { clean, reconstructed, zero, mean },
    pureFeatures: await pureFeatures(store, dashboard),
    probes: await probesOf(store, dashboard),
    resamplings: resamplings.map(({ step, dead, resampled, metrics: { lossBefore, lossAfter } }) => ({ step, dead, resampled, lossBefore, lossAfter })),
    divergences: await rowsOf(store, sae, 'divergences.jsonl', divergence),
  };
}

/** The best answer to each probe, and how many tokens satisfied it where it was judged. */
async function probesOf(store: ArtifactStore, dashboard: Manifest): Promise<Report['sae']['probes']> {
  const page = probesPage.parse(JSON.parse(Buffer.from(await store.get(artifactPath(dashboard, 'site/data/probes.json'))).toString()));
  return page.map(({ name, support, enough, answers: [best] }) => {
    const { feature = -1, f1 = 0, auroc = 0.5, precisionTop20 = 0 } = best ?? {};
    return { name, feature, f1, auroc, precisionTop20, support: support.judgedOn, enough };
  });
}

/** Features by language whose top examples, as many as were asked for, are all from documents of that language. */
async function pureFeatures(store: ArtifactStore, dashboard: Manifest): Promise<Record<string, number>> {
  const index = featureIndex.parse(JSON.parse(Buffer.from(await store.get(artifactPath(dashboard, 'site/data/index.json'))).toString()));
  const wanted = z.looseObject({ dashboard: z.looseObject({ topExamples: z.int() }) }).parse(dashboard.config).dashboard.topExamples;
  const counts: Record<string, number> = {};
  index.topLang.forEach((lang, feature) => {
    const examples = index.topExamples[feature]!;
    if (lang !== '' && index.topLangShare[feature] === 1 && examples >= wanted) counts[lang] = (counts[lang] ?? 0) + 1;
  });
  return counts;
}

async function manifestOf(store: ArtifactStore, artifact: ArtifactRef | undefined, stage: StageName): Promise<Manifest> {
  const manifest = artifact === undefined ? null : await readManifest(store, artifact);
  if (manifest === null) throw new UserError(`the run has no finished ${stage} artifact${artifact === undefined ? '' : ` ${artifact.key}`} in ${store.uri}`, 'Run it again: finished stages are found, missing ones made.');
  return manifest;
}
