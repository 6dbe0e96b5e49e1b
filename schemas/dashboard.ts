// What exportDashboard writes and the page reads, file by file under site/data/. Chunked, so that a page of one feature
// fetches one small chunk and 131,072 features open as fast as 512. Numbers come from held-out tokens only.
import { z } from 'zod';
import { architectureConfig } from './config.ts';
import { sha256Hex } from './keys.ts';

/** Features in one file of site/data/features/. */
export const featuresPerChunk = 8;

/** A stretch of held-out text around one token on which the feature fired. */
export const example = z.strictObject({
  /** The feature's activation on the token that fired, in units of the hooked activation. */
  value: z.number(),
  /** Index in `tokens` of the token that fired. */
  centre: z.int().nonnegative(),
  tokens: z.array(z.int().nonnegative()),
  /** The feature's activation on each token, 0 where it did not fire. */
  activations: z.array(z.number()),
  /**
   * Ablation effect on each token as it was predicted, nats: log p(token) as it is minus log p(token) without the feature
   * at the position before (SPEC §6). Positive: the feature made the token more likely. 0 where it did not fire before it.
   */
  effects: z.array(z.number()),
  /** Provenance: the document and the offset in it, in tokens, of the token that fired. */
  document: z.strictObject({ id: z.string(), lang: z.string(), source: z.string(), file: z.string(), line: z.int(), offset: z.int().nonnegative() }),
});
export type Example = z.infer<typeof example>;

export const tokenValue = z.strictObject({ token: z.int().nonnegative(), value: z.number() });

/** Everything on a feature's page. */
export const featurePage = z.strictObject({
  feature: z.int().nonnegative(),
  /** Share of the tokens read on which the feature fired. */
  density: z.number(),
  count: z.int().nonnegative(),
  maxActivation: z.number(),
  meanActivation: z.number(),
  /** Counts of positive activations in equal bins from 0 to maxActivation. */
  histogram: z.array(z.int().nonnegative()),
  /** Logit weights (SPEC §6), median 0: the largest, the smallest, and their histogram over the vocabulary. */
  logits: z.strictObject({
    top: z.array(tokenValue),
    bottom: z.array(tokenValue),
    histogram: z.strictObject({ low: z.number(), high: z.number(), counts: z.array(z.int().nonnegative()) }),
  }),
  /** Share of the feature's activation mass by document language, largest first. */
  languages: z.array(z.strictObject({ lang: z.string(), share: z.number() })),
  top: z.array(example),
  /** Evenly spaced by value, from the highest to the lowest. */
  intervals: z.array(z.strictObject({ low: z.number(), high: z.number(), count: z.int().nonnegative(), examples: z.array(example) })),
  nearest: z.array(z.strictObject({ feature: z.int().nonnegative(), cosine: z.number() })),
  /**
   * Ablation effects, nats per firing: their mean, mean magnitude, and the share where the feature helped. Over all firings,
   * or over `dashboard.ablationFirings` of them drawn at random where there are more.
   */
  ablation: z.strictObject({ mean: z.number(), meanMagnitude: z.number(), helped: z.number() }),
  /** Components of the hooked activation (of an MLP: its neurons) that the decoder row points along: share of its L1 norm. */
  neurons: z.array(z.strictObject({ neuron: z.int().nonnegative(), weight: z.number(), share: z.number() })),
  /** Pearson correlation, largest first: of components over all tokens read, of features over `dashboard.correlationTokens` of them. */
  correlatedNeurons: z.array(z.strictObject({ neuron: z.int().nonnegative(), pearson: z.number() })),
  correlatedFeatures: z.array(z.strictObject({ feature: z.int().nonnegative(), pearson: z.number() })),
});
export type FeaturePage = z.infer<typeof featurePage>;

/** site/data/features/00000.json …: features [8·n, 8·n + 8). */
export const featureChunk = z.array(featurePage);

/** site/data/index.json: one column an array, all of length `features`. For programs; the page reads it packed. */
export const featureIndex = z.strictObject({
  features: z.int().positive(),
  density: z.array(z.number()),
  maxActivation: z.array(z.number()),
  /** Token on which the feature fired most strongly, summed over top examples; -1 for a dead feature. */
  topToken: z.array(z.int()),
  /** Most frequent document language among the top examples, and its share; '' and 0 for a dead feature. */
  topLang: z.array(z.string()),
  topLangShare: z.array(z.number()),
  /** How many top examples there are: fewer than asked for where the feature fired in few places. */
  topExamples: z.array(z.int()),
  /** Mean magnitude of the ablation effect, nats per firing. */
  ablation: z.array(z.number()),
  /** Loss that the feature's ablation adds over all tokens, as a share of the magnitudes of all features' added up. Negative where it takes loss away. */
  lossShare: z.array(z.number()),
  /** The probe that the feature predicts best, by its place in probes.json, and its F1; -1 and 0 where there is none. */
  probe: z.array(z.int()),
  probeF1: z.array(z.number()),
});
export type FeatureIndex = z.infer<typeof featureIndex>;

/**
 * A column of the index as the page fetches it: little-endian numbers of one type, nothing else. A value is the stored
 * number plus `offset`, or with `categories` the category of that number.
 */
export const packedColumn = z.strictObject({
  file: z.string(),
  type: z.enum(['float32', 'float16', 'uint8', 'uint16', 'uint32']),
  offset: z.int(),
  categories: z.array(z.string()).optional(),
});
export type PackedColumn = z.infer<typeof packedColumn>;

/** site/data/columns/header.json: the columns of index.json, one file each beside it. */
export const packedIndex = z.strictObject({
  features: z.int().positive(),
  columns: z.record(z.enum(['density', 'maxActivation', 'topToken', 'topLang', 'topLangShare', 'topExamples', 'ablation', 'lossShare', 'probe', 'probeF1']), packedColumn),
});
export type PackedIndex = z.infer<typeof packedIndex>;

/** site/data/vocabulary.json: a token's bytes as a string of code points 0–255. A character may span several tokens. */
export const vocabulary = z.strictObject({ eot: z.int(), tokens: z.array(z.string()) });
export type Vocabulary = z.infer<typeof vocabulary>;

export const losses = z.strictObject({ clean: z.number(), reconstructed: z.number(), zero: z.number(), mean: z.number() });
export const curve = z.strictObject({ name: z.string(), unit: z.string(), steps: z.array(z.number()), values: z.array(z.number()) });
export type Curve = z.infer<typeof curve>;

/** SPEC §5 on held-out tokens: means over tokens, and how many features fired at all. */
export const saeMetrics = z.strictObject({
  /** Features active on a token. */
  l0: z.number(),
  /** Sum of a token's activations. */
  l1: z.number(),
  /** Squared error per component, in units of the hooked activation. */
  mse: z.number(),
  /** Fraction of variance unexplained. */
  fvu: z.number(),
  lossRecovered: z.number(),
  /** Nats per token. */
  losses,
  alive: z.int(),
  dead: z.int(),
  ultraLow: z.int(),
});

/** site/data/run.json: what the run is and how well it went. */
export const runPage = z.strictObject({
  hook: z.string(),
  dIn: z.int().positive(),
  features: z.int().positive(),
  /** Held-out tokens that were read. */
  tokens: z.int().positive(),
  transformer: z.strictObject({ valLoss: z.number(), unigramLoss: z.number(), parameters: z.int() }),
  sae: saeMetrics,
  resamplings: z.array(z.strictObject({ step: z.int(), dead: z.int(), resampled: z.int() })),
  curves: z.strictObject({ transformer: z.array(curve), sae: z.array(curve) }),
  lineage: z.array(
    z.strictObject({
      stage: z.string(),
      key: z.string(),
      config: z.unknown(),
      /** Present where shards were left out by decision (skipFailedShards): which, of how many. */
      skipped: z.strictObject({ shards: z.array(z.int()), total: z.int() }).optional(),
    }),
  ),
});
export type RunPage = z.infer<typeof runPage>;

/** A feature as the answer to a probe: scores on held-out tokens that were not used for choosing it (SPEC §7). */
export const probeAnswer = z.strictObject({
  feature: z.int().nonnegative(),
  /** Activation above which the feature says yes; chosen, like the feature, on the other half of the documents. */
  threshold: z.number(),
  f1: z.number(),
  precision: z.number(),
  recall: z.number(),
  auroc: z.number(),
  /** Share of its 20 strongest tokens that satisfy the probe. */
  precisionTop20: z.number(),
});

export type ProbeAnswer = z.infer<typeof probeAnswer>;

/** site/data/probes.json: for each probe of the configuration the features that predict it best, best first where they were chosen. */
export const probesPage = z.array(
  z.strictObject({
    name: z.string(),
    description: z.string(),
    /** Tokens that satisfy the probe: where features are chosen, and where they are judged. */
    support: z.strictObject({ chosenOn: z.int().nonnegative(), judgedOn: z.int().nonnegative() }),
    /** False where the support is too small for the scores to mean anything. */
    enough: z.boolean(),
    answers: z.array(probeAnswer),
  }),
);
export type ProbesPage = z.infer<typeof probesPage>;

/** site/data/map.json: decoder rows in two dimensions by UMAP (SPEC §6), and clusters; one entry a mapped feature. */
export const featureMap = z.strictObject({ features: z.array(z.int().nonnegative()), x: z.array(z.number()), y: z.array(z.number()), cluster: z.array(z.int()) });
export type FeatureMap = z.infer<typeof featureMap>;

/** site/data/texts/index.json: the example texts, one file each beside it. */
export const textList = z.array(z.strictObject({ file: z.string(), title: z.string(), lang: z.string(), source: z.string(), tokens: z.int() }));
export type TextList = z.infer<typeof textList>;

/** site/data/texts/00000.json: a held-out text and all activations on it, token by token, strongest first. */
export const textPage = z.strictObject({
  tokens: z.array(z.int().nonnegative()),
  features: z.array(z.array(z.int().nonnegative())),
  values: z.array(z.array(z.number())),
});
export type TextPage = z.infer<typeof textPage>;

const modelFile = z.strictObject({ file: z.string(), bytes: z.int().nonnegative(), sha256: sha256Hex });

/** site/model/config.json: what the page needs to run model and SAE on a text that its reader types. */
export const siteModel = z.strictObject({
  architecture: architectureConfig,
  hook: z.string(),
  features: z.int().positive(),
  /** float16, in the names and layouts of the artifacts they come from. */
  transformer: modelFile,
  sae: modelFile,
  /** The file of an imported tokenizer; absent for GPT-2's, which is made of vocabulary.json. */
  tokenizer: modelFile.extend({ endOfText: z.string() }).optional(),
});
export type SiteModel = z.infer<typeof siteModel>;

/** site/data/labels.json: automatic interpretations (OpenAI-compatible endpoint); none until `saeflow label` makes some, which are then laid over it. */
export const featureLabels = z.strictObject({
  model: z.string(),
  labels: z.array(
    z.strictObject({
      feature: z.int().nonnegative(),
      text: z.string(),
      /** Spearman correlation of predicted and true activations, and balanced accuracy of detection; null: not scored. */
      spearman: z.number().nullable(),
      detection: z.number().nullable(),
    }),
  ),
});
export type FeatureLabels = z.infer<typeof featureLabels>;
