// What a run says about itself while it goes: queries, updates and signals of the workflows, and how far each stage is.
import { z } from 'zod';
import { artifactRef, metrics } from './artifact.ts';
import { changes } from './comparison.ts';
import { sha256Hex, stageName, stageSpec } from './stages.ts';
import { executionConfig } from './config.ts';

export const stageState = z.enum(['waiting', 'running', 'paused', 'blocked', 'cached', 'done', 'failed', 'aborted']);
export type StageState = z.infer<typeof stageState>;

/** One stage of a run, as the `progress` query answers it. */
export const stageProgress = z.strictObject({
  stage: stageName,
  /** The SAE's name where there are several artifacts of this stage, otherwise ''. */
  label: z.string(),
  state: stageState,
  key: sha256Hex.optional(),
  /** Child workflow that works on it, if any: its pending activities' heartbeats are finer than this. */
  workflowId: z.string().optional(),
  done: z.number().nonnegative(),
  total: z.number().nonnegative(),
  unit: z.string(),
  metrics,
  failedShards: z.int().nonnegative(),
});
export type StageProgress = z.infer<typeof stageProgress>;

export const runProgress = z.strictObject({
  run: z.string(),
  configHash: sha256Hex.optional(),
  stages: z.array(stageProgress),
});
export type RunProgress = z.infer<typeof runProgress>;

/** A shard that used up its attempts. */
export const failedShard = z.strictObject({ shard: z.int().nonnegative(), error: z.string() });
export type FailedShard = z.infer<typeof failedShard>;

/** Payload of the updates retryFailedShards and skipFailedShards: which shards, or all that are parked. */
export const shardSelection = z.strictObject({ shards: z.array(z.int().nonnegative()).min(1).optional() });
export type ShardSelection = z.infer<typeof shardSelection>;

/** Input of a stage's workflow: it can be started alone. */
export const stageInput = z.strictObject({
  run: z.string().default('run'),
  label: z.string().default(''),
  spec: stageSpec,
  execution: executionConfig.prefault({}),
  /** Shards not to be made: a repaired artifact is again what it was, without what a person skipped. */
  leaveOut: z.array(z.int().nonnegative()).min(1).optional(),
  /** Signals by which it tells its pipeline how far it is, at most. */
  progressSignals: z.int().positive().default(50),
});
export type StageInput = z.infer<typeof stageInput>;

/** What is to be done for a stage: found in the store, or how many pieces of work there are. */
export const stagePlan = z.strictObject({
  key: sha256Hex,
  /** The finished artifact, when the store has it. */
  found: artifactRef.nullable(),
  /** Shards of the first fan-out (corpus shards, prompt shards, window shards), 0 for training stages. */
  shards: z.int().nonnegative(),
  /** Blocks of features of exportDashboard's second fan-out. */
  blocks: z.int().nonnegative(),
  /** Training steps at which a segment ends, ascending; the last one is the end of training. */
  milestones: z.array(z.int().positive()),
  /** Milestones at which dead neurons are resampled. */
  resamplings: z.array(z.int().positive()),
  /** Of an SAE whose activations are not all there: they are made while it reads, at most so many shards at once. */
  supply: z.strictObject({ spec: stageSpec, windowShards: z.int().positive() }).optional(),
});
export type StagePlan = z.infer<typeof stagePlan>;

/** Result of a stage's workflow. */
export const stageResult = z.strictObject({ artifact: artifactRef, cached: z.boolean() });
export type StageResult = z.infer<typeof stageResult>;

/** Result of a stage's workflow that was started with a configuration: that stage and those before it. */
export const stagesResult = z.strictObject({ run: z.string(), configHash: sha256Hex, stages: z.array(stageResult) });
export type StagesResult = z.infer<typeof stagesResult>;

/** Result of the pipeline workflow. */
export const pipelineResult = z.strictObject({
  run: z.string(),
  configHash: sha256Hex,
  stages: z.array(stageResult),
  reportUri: z.string(),
  /** Against the run of this name before it; absent in results of before comparisons. */
  changes: changes.optional(),
});
export type PipelineResult = z.infer<typeof pipelineResult>;

/** The Worker Deployment whose versions are the builds of saeflow's workers. */
export const deploymentName = 'saeflow';
/** In place of a build's id: workers that have none. */
export const noBuild = 'none';

export const taskQueues = { workflows: 'saeflow', cpu: 'saeflow-cpu', gpu: 'saeflow-gpu' } as const;

export const searchAttributes = {
  SaeflowStage: 'Keyword',
  SaeflowRun: 'Keyword',
  SaeflowFailedShards: 'Int',
  SaeflowConfigHash: 'Keyword',
} as const;
