// From a run's configuration to the spec of each artifact: which part of it affects which stage, and what each reads.
import type { PipelineConfig, SaeConfig } from '../schemas/config.ts';
import type { SpecOf } from '../schemas/stages.ts';

/** Keys of the artifacts made so far. */
interface Keys {
  tokenize: string;
  trainTransformer: string;
  sampleActivations: string;
  trainSae: string;
}

export function tokenizeSpec({ corpus, tokenize }: PipelineConfig, corpusKey: string): SpecOf<'tokenize'> {
  return { stage: 'tokenize', config: { corpus, tokenize }, inputs: { corpus: corpusKey } };
}

export function transformerSpec({ seed, transformer }: PipelineConfig, { tokenize }: Pick<Keys, 'tokenize'>): SpecOf<'trainTransformer'> {
  return { stage: 'trainTransformer', config: { seed, ...transformer }, inputs: { tokenize } };
}

export function activationsSpec({ seed, activations }: PipelineConfig, hook: string, { tokenize, trainTransformer }: Pick<Keys, 'tokenize' | 'trainTransformer'>): SpecOf<'sampleActivations'> {
  return { stage: 'sampleActivations', config: { seed, hook, activations }, inputs: { tokenize, trainTransformer } };
}

export function saeSpec({ seed }: PipelineConfig, sae: SaeConfig, { sampleActivations }: Pick<Keys, 'sampleActivations'>): SpecOf<'trainSae'> {
  return { stage: 'trainSae', config: { seed, sae }, inputs: { sampleActivations } };
}

export function dashboardSpec({ dashboard }: PipelineConfig, { tokenize, trainTransformer, sampleActivations, trainSae }: Keys): SpecOf<'exportDashboard'> {
  return { stage: 'exportDashboard', config: { dashboard }, inputs: { tokenize, trainTransformer, sampleActivations, trainSae } };
}
