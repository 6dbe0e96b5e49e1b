// The five stages: what each is configured by, what it reads, and its version number. The version is raised by hand
// when a stage's output changes for the same configuration; a golden-hash test fails when someone forgets.
import { z } from 'zod';
import {
  activationsConfig,
  architectureConfig,
  corpusConfig,
  dashboardConfig,
  saeConfig,
  tokenizeConfig,
  transformerTrainingConfig,
} from './config.ts';
import { sha256Hex } from './keys.ts';

export const stageNames = ['tokenize', 'trainTransformer', 'sampleActivations', 'trainSae', 'exportDashboard'] as const;
export const stageName = z.enum(stageNames);
export type StageName = z.infer<typeof stageName>;

export const stageVersions: Record<StageName, number> = {
  tokenize: 1,
  trainTransformer: 4,
  sampleActivations: 3,
  trainSae: 4,
  exportDashboard: 4,
};

export { sha256Hex };

const seed = z.int().nonnegative();

/** What makes a stage's artifact: the configuration that affects it and the keys of what it reads. */
export const stageSpec = z.discriminatedUnion('stage', [
  z.strictObject({
    stage: z.literal('tokenize'),
    config: z.strictObject({ corpus: corpusConfig, tokenize: tokenizeConfig }),
    inputs: z.strictObject({ corpus: sha256Hex }),
  }),
  z.strictObject({
    stage: z.literal('trainTransformer'),
    config: z.strictObject({ seed, architecture: architectureConfig, training: transformerTrainingConfig }),
    inputs: z.strictObject({ tokenize: sha256Hex }),
  }),
  z.strictObject({
    stage: z.literal('sampleActivations'),
    config: z.strictObject({ seed, hook: z.string(), activations: activationsConfig }),
    inputs: z.strictObject({ tokenize: sha256Hex, trainTransformer: sha256Hex }),
  }),
  z.strictObject({
    stage: z.literal('trainSae'),
    config: z.strictObject({ seed, sae: saeConfig }),
    inputs: z.strictObject({ sampleActivations: sha256Hex }),
  }),
  z.strictObject({
    stage: z.literal('exportDashboard'),
    config: z.strictObject({ dashboard: dashboardConfig }),
    inputs: z.strictObject({ tokenize: sha256Hex, trainTransformer: sha256Hex, sampleActivations: sha256Hex, trainSae: sha256Hex }),
  }),
]);
export type StageSpec = z.infer<typeof stageSpec>;
export type SpecOf<Stage extends StageName> = Extract<StageSpec, { stage: Stage }>;

/** Names an artifact: enough to find its folder in the store. */
export const artifactId = z.strictObject({ stage: stageName, key: sha256Hex });
export type ArtifactId = z.infer<typeof artifactId>;

/** The id of the workflow that makes an artifact: the same request twice is the same workflow. */
export function stageWorkflowId(stage: StageName, key: string): string {
  return `saeflow/${stage}/${key.slice(0, 12)}`;
}
