// How much work a stage is, from its spec and the manifests of its inputs: shards to fan out over, blocks of features,
// milestones of training. Impossible combinations of configuration and data are refused here, before anything runs.
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';
import type { StagePlan } from '../schemas/progress.ts';
import type { SpecOf, StageSpec } from '../schemas/stages.ts';
import { openActivations } from './activationSource.ts';
import { artifactPath, specKey } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { corpusFile } from './corpusFiles.ts';
import { planCorpusShards } from './corpusShards.ts';
import { heldOutWindows } from './heldOut.ts';
import { manifestOf, specOf } from './inputs.ts';
import { contextLengthOf, promptPlanOf } from './promptPlans.ts';
import { copyTokenizer } from './tokenizerFile.ts';

/** Where resolveCorpus keeps the list of files a corpus key stands for. */
export function corpusPath(key: string): string {
  return `corpus/${key}.json`;
}

type Work = Omit<StagePlan, 'key' | 'found'>;
const nothing: Work = { shards: 0, blocks: 0, milestones: [], resamplings: [] };

/** The work of a stage. Throws UserError when its configuration and its inputs can't go together, or an input is missing. */
export async function planStage(store: ArtifactStore, spec: StageSpec): Promise<Work> {
  switch (spec.stage) {
    case 'tokenize':
      return { ...nothing, shards: await planTokenize(store, spec) };
    case 'trainTransformer': {
      const { steps, evaluateEverySteps } = spec.config.training;
      return { ...nothing, milestones: milestonesOf(steps, evaluateEverySteps, []) };
    }
    case 'sampleActivations': {
      const plan = await promptPlanOf(store, spec);
      return { ...nothing, shards: Math.ceil(plan.prompts / spec.config.activations.promptsPerShard) };
    }
    case 'trainSae':
      return planTrainSae(store, spec);
    case 'exportDashboard': {
      const tokenize = await manifestOf(store, 'tokenize', spec.inputs.tokenize);
      const contextLength = await contextLengthOf(store, spec.inputs.trainTransformer);
      const { dashboard } = spec.config;
      const windows = heldOutWindows(tokenize.metrics['heldOutTokens']!, contextLength, dashboard.tokens);
      const sae = await specOf(store, { stage: 'trainSae', key: spec.inputs.trainSae }, 'trainSae');
      return { ...nothing, shards: Math.ceil(windows / dashboard.windowsPerShard), blocks: Math.ceil(sae.config.sae.features / dashboard.featuresPerBlock) };
    }
  }
}

async function planTokenize(store: ArtifactStore, spec: SpecOf<'tokenize'>): Promise<number> {
  const files = z.array(corpusFile).parse(JSON.parse(Buffer.from(await store.get(corpusPath(spec.inputs.corpus))).toString()));
  const shards = planCorpusShards(files, spec.config.tokenize.shardBytes);
  const id = { stage: spec.stage, key: specKey(spec) };
  await copyTokenizer(store, id, spec.config.tokenize);
  // Replaced, not kept: the cut depends on the key alone, but the files may have moved, or their pinned commit be gone.
  await store.put(artifactPath(id, 'plan.json'), Buffer.from(JSON.stringify(shards)));
  return shards.length;
}

async function planTrainSae(store: ArtifactStore, spec: SpecOf<'trainSae'>): Promise<Work> {
  const { sae } = spec.config;
  const { vectors } = await openActivations(store, spec.inputs.sampleActivations);
  const steps = Math.floor((vectors * sae.epochs) / sae.batchSize);
  if (steps === 0) {
    throw new UserError(`saes[].batchSize ${sae.batchSize} is larger than the data: ${vectors} vectors × ${sae.epochs} epochs make no whole batch`, 'Lower batchSize, raise epochs, or sample more activations.');
  }
  const resamplings = [...new Set(sae.resampling.steps)].filter((step) => step < steps).sort((a, b) => a - b);
  return { ...nothing, milestones: milestonesOf(steps, sae.segmentSteps, resamplings), resamplings };
}

/** Where segments end: every `every` steps, at each extra step, and at the end. */
function milestonesOf(steps: number, every: number, extra: number[]): number[] {
  const regular = Array.from({ length: Math.floor(steps / every) }, (_, index) => (index + 1) * every);
  return [...new Set([...regular, ...extra, steps])].sort((a, b) => a - b);
}
