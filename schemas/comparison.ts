// What changed since the run before of the same name: for each SAE a comparison, which is an artifact of its own in the
// store, and a sentence for the person who looks.
import { z } from 'zod';
import { sha256Hex, stageName } from './stages.ts';

/** Raised by hand when the same two SAEs would be compared with another result. */
export const comparisonVersion = 1;

/** Two decoder directions with at least this cosine are one feature: each then explains half of the other (0.7² = 0.49). */
export const matchThreshold = 0.7;

const count = z.int().nonnegative();
const change = z.strictObject({ before: z.number(), after: z.number() });

/** Two dashboards' keys; each stands for its SAE, its transformer and the evaluation of both. */
export const comparedKeys = z.strictObject({ before: sha256Hex, after: sha256Hex });
export type ComparedKeys = z.infer<typeof comparedKeys>;

/** Features that fired on held-out tokens, before and after: kept + lost fired before, kept + new fire now. */
export const featureCounts = z.strictObject({
  threshold: z.number(),
  kept: count,
  lost: count,
  new: count,
  /** Mean cosine of the kept pairs; null when there are none. */
  meanCosine: z.number().nullable(),
});
export type FeatureCounts = z.infer<typeof featureCounts>;

const side = z.strictObject({ trainTransformer: sha256Hex, trainSae: sha256Hex, exportDashboard: sha256Hex });

/** comparisons/<key>/comparison.json. */
export const saeComparison = z.strictObject({
  format: z.literal(1),
  key: sha256Hex,
  before: side,
  after: side,
  /** On held-out tokens: nats per token, features per token, shares, features. */
  metrics: z.strictObject({ valLoss: change, l0: change, lossRecovered: change, fvu: change, alive: change }),
  /** Null when the directions lie in different spaces, or have different lengths: `reason` says so. */
  features: featureCounts.nullable(),
  reason: z.string(),
});
export type SaeComparison = z.infer<typeof saeComparison>;

/** comparisons/<key>/features.json: which feature is which. */
export const featureMatches = z.strictObject({
  /** For each feature of the newer SAE the feature of the older one that it is; -1 for a new or a silent one. */
  before: z.array(z.int().min(-1)),
  /** Cosine of the two; 0 where there is none. */
  cosine: z.array(z.number()),
  /** Features of the older SAE that fired and are no more. */
  lost: z.array(count),
});
export type FeatureMatches = z.infer<typeof featureMatches>;

/** The last report of a run's name, as far as a comparison needs it. */
export const previousRun = z.strictObject({
  configHash: sha256Hex,
  workflowId: z.string().optional(),
  finishedAt: z.string().optional(),
  stages: z.array(z.strictObject({ stage: stageName, key: sha256Hex })),
  saes: z.array(z.strictObject({ name: z.string(), dashboard: sha256Hex })),
});
export type PreviousRun = z.infer<typeof previousRun>;

/** Part of a run's result and report. */
export const changes = z.strictObject({
  /** Null for the first run of its name. */
  previous: previousRun.omit({ stages: true, saes: true }).nullable(),
  /** True when every artifact is the previous run's. */
  nothingNew: z.boolean(),
  /** All of it in a sentence. */
  summary: z.string(),
  saes: z.array(
    z.strictObject({
      name: z.string(),
      /** Null when there is none: `note` says why. */
      comparison: saeComparison.nullable(),
      note: z.string(),
    }),
  ),
});
export type Changes = z.infer<typeof changes>;
