// report.json: what a run made and how well, every number computed on held-out tokens. Read by `saeflow report --json`
// and by whoever compares runs.
import { z } from 'zod';
import { changes } from './comparison.ts';
import { saeMetrics } from './dashboard.ts';
import { divergence } from './divergence.ts';
import { sha256Hex, stageName } from './stages.ts';

const loss = z.number();

export const resamplingRecordSummary = z.strictObject({
  step: z.int(),
  dead: z.int(),
  resampled: z.int(),
  lossBefore: loss,
  lossAfter: loss,
});

export const saeReport = saeMetrics.extend({
  name: z.string(),
  hook: z.string(),
  features: z.int(),
  /** Held-out tokens over which the metrics are means. */
  tokens: z.int(),
  /** Features whose top examples all come from documents of one language or kind. */
  pureFeatures: z.record(z.string(), z.int()),
  resamplings: z.array(resamplingRecordSummary),
  /** The feature that predicts each probe of the configuration best, −1 where none does; `enough` is false where the support is too small for scores. */
  probes: z
    .array(z.strictObject({ name: z.string(), feature: z.int(), f1: z.number(), auroc: z.number(), precisionTop20: z.number(), support: z.int(), enough: z.boolean() }))
    .default([]),
  /** Times that training went back and halved its learning rate. */
  divergences: z.array(divergence),
});

export const report = z.strictObject({
  run: z.string(),
  configHash: sha256Hex,
  /** Which workflow it was, and when it was done; absent in reports of before comparisons. */
  workflowId: z.string().optional(),
  finishedAt: z.string().optional(),
  stages: z.array(
    z.strictObject({
      name: stageName,
      key: sha256Hex,
      cached: z.boolean(),
      seconds: z.number(),
      device: z.string(),
      bytes: z.int(),
      /** Shards in all, 0 for stages that have none, and those that were left out by decision (skipFailedShards). */
      shards: z.int().default(0),
      skippedShards: z.array(z.int()).default([]),
    }),
  ),
  tokens: z.strictObject({ train: z.int(), heldOut: z.int() }),
  transformer: z.strictObject({ valLoss: loss, unigramLoss: loss, parameters: z.int(), divergences: z.array(divergence) }),
  /** The first SAE of the configuration; all of them are in `saes`. */
  sae: saeReport,
  saes: z.array(saeReport),
  /** Positions of the training tokens by how often they were sampled. */
  coverage: z.strictObject({ once: z.int(), moreThanOnce: z.int(), never: z.int() }),
  /** What the first hook's sampling read, computed and avoided of a forward pass of the whole model; absent in older reports. */
  sampling: z
    .strictObject({ positions: z.int(), vectors: z.int(), flopsAvoided: z.number().max(1), overflows: z.int(), largest: z.number() })
    .optional(),
  dashboards: z.array(z.strictObject({ sae: z.string(), site: z.string() })),
  /** Against the run of this name before it. */
  changes: changes.optional(),
});
export type Report = z.infer<typeof report>;
