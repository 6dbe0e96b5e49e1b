// What others read: SAEDashboard's batch-<n>.json and the rows of Neuronpedia's bulk import, field for field as their own
// Python classes have them (test/oracle/exchange.json lists those, exchange.py made it).
import { z } from 'zod';

const wholes = z.array(z.int());
const numbers = z.array(z.number());
const texts = z.array(z.string());

/** SAEDashboard's NeuronpediaDashboardActivation. Its constructor refuses other fields, so ablations are not in it. */
export const dashboardActivation = z.strictObject({
  /** -1 for the strongest examples, where `bin_max` is the feature's maximum. */
  bin_min: z.number(),
  bin_max: z.number(),
  /** Share of the feature's activations inside the interval; -1 for the strongest examples. */
  bin_contains: z.number(),
  tokens: texts,
  values: numbers,
  qualifying_token_index: z.int(),
});
export type DashboardActivation = z.infer<typeof dashboardActivation>;

/** Statistics of a feature, the same in both formats. */
const statistics = {
  neuron_alignment_indices: wholes,
  neuron_alignment_values: numbers,
  neuron_alignment_l1: numbers,
  correlated_neurons_indices: wholes,
  correlated_neurons_l1: numbers,
  correlated_neurons_pearson: numbers,
  correlated_features_indices: wholes,
  correlated_features_l1: numbers,
  correlated_features_pearson: numbers,
  neg_str: texts,
  neg_values: numbers,
  pos_str: texts,
  pos_values: numbers,
  frac_nonzero: z.number(),
  freq_hist_data_bar_values: numbers,
  freq_hist_data_bar_heights: numbers,
  logits_hist_data_bar_heights: numbers,
  logits_hist_data_bar_values: numbers,
  decoder_weights_dist: numbers,
  vector: numbers,
};
export const featureStatistics = z.strictObject(statistics);
export type FeatureStatistics = z.infer<typeof featureStatistics>;

/** SAEDashboard's NeuronpediaDashboardFeature. */
export const dashboardFeature = z.strictObject({
  feature_index: z.int(),
  ...statistics,
  n_prompts_total: z.int(),
  n_tokens_in_prompt: z.int(),
  dataset: z.string(),
  activations: z.array(dashboardActivation),
});

/** SAEDashboard's NeuronpediaDashboardBatch: one batch-<n>.json. */
export const dashboardBatch = z.strictObject({ model_id: z.string(), layer: z.int(), sae_set: z.string(), sae_id_suffix: z.string().nullable(), features: z.array(dashboardFeature) });
export type DashboardBatch = z.infer<typeof dashboardBatch>;

const visibility = z.enum(['PUBLIC', 'PRIVATE']);
const time = z.iso.datetime();

export const neuronpediaRelease = z.strictObject({
  name: z.string(),
  description: z.string(),
  creatorName: z.string(),
  creatorId: z.string(),
  visibility,
  isNewUi: z.boolean(),
  featured: z.boolean(),
  descriptionShort: z.string().nullable(),
  urls: texts,
  creatorEmail: z.string().nullable(),
  creatorNameShort: z.string().nullable(),
  defaultSourceSetName: z.string().nullable(),
  defaultSourceId: z.string().nullable(),
  defaultUmapSourceIds: texts,
  createdAt: time,
});
export type NeuronpediaRelease = z.infer<typeof neuronpediaRelease>;

export const neuronpediaModel = z.strictObject({
  id: z.string().regex(/^[a-z0-9_-]{1,128}$/),
  instruct: z.boolean(),
  creatorId: z.string(),
  displayNameShort: z.string(),
  displayName: z.string(),
  tlensId: z.string().nullable(),
  dimension: z.int().nullable(),
  visibility,
  defaultSourceSetName: z.string().nullable(),
  defaultSourceId: z.string().nullable(),
  inferenceEnabled: z.boolean(),
  layers: z.int(),
  neuronsPerLayer: z.int(),
  createdAt: time,
  owner: z.string(),
  updatedAt: time,
  website: z.string().nullable(),
});
export type NeuronpediaModel = z.infer<typeof neuronpediaModel>;

export const neuronpediaSourceSet = z.strictObject({
  modelId: z.string(),
  name: z.string(),
  creatorId: z.string(),
  hasDashboards: z.boolean(),
  visibility,
  description: z.string(),
  type: z.string(),
  creatorName: z.string(),
  urls: texts,
  creatorEmail: z.string().nullable(),
  releaseName: z.string().nullable(),
  defaultOfModelId: z.string().nullable(),
  defaultRange: z.int(),
  defaultShowBreaks: z.boolean(),
  showDfa: z.boolean(),
  showCorrelated: z.boolean(),
  showHeadAttribution: z.boolean(),
  showUmap: z.boolean(),
  createdAt: time,
});
export type NeuronpediaSourceSet = z.infer<typeof neuronpediaSourceSet>;

export const neuronpediaSource = z.strictObject({
  id: z.string(),
  modelId: z.string(),
  setName: z.string(),
  creatorId: z.string(),
  hasDashboards: z.boolean(),
  inferenceEnabled: z.boolean(),
  inferenceHosts: texts,
  saelensConfig: z.string().nullable(),
  saelensRelease: z.string().nullable(),
  saelensSaeId: z.string().nullable(),
  hfRepoId: z.string().nullable(),
  hfFolderId: z.string().nullable(),
  visibility,
  defaultOfModelId: z.string().nullable(),
  hasUmap: z.boolean(),
  hasUmapLogSparsity: z.boolean(),
  hasUmapClusters: z.boolean(),
  num_prompts: z.int().nullable(),
  num_tokens_in_prompt: z.int().nullable(),
  dataset: z.string().nullable(),
  notes: z.string().nullable(),
  createdAt: time,
});
export type NeuronpediaSource = z.infer<typeof neuronpediaSource>;

/** A line of features/batch-<n>.jsonl.gz. */
export const neuronpediaFeature = z.strictObject({
  modelId: z.string(),
  layer: z.string(),
  index: z.string(),
  creatorId: z.string().nullable(),
  createdAt: time,
  maxActApprox: z.number().nullable(),
  hasVector: z.boolean(),
  vectorLabel: z.string().nullable(),
  vectorDefaultSteerStrength: z.number().nullable(),
  hookName: z.string().nullable(),
  topkCosSimIndices: wholes,
  topkCosSimValues: numbers,
  ...statistics,
  sourceSetName: z.string().nullable(),
});
export type NeuronpediaFeature = z.infer<typeof neuronpediaFeature>;

/** A line of activations/batch-<n>.jsonl.gz. */
export const neuronpediaActivation = z.strictObject({
  id: z.string(),
  tokens: texts,
  index: z.string(),
  layer: z.string(),
  modelId: z.string(),
  maxValue: z.number(),
  maxValueTokenIndex: z.int(),
  minValue: z.number(),
  values: numbers,
  creatorId: z.string(),
  dataSource: z.string().nullable(),
  dataIndex: z.string().nullable(),
  dfaValues: numbers,
  dfaTargetIndex: z.int().nullable(),
  dfaMaxValue: z.number().nullable(),
  createdAt: time,
  /** What the feature adds to the loss of each token, nats: minus our ablation effect. Drawn red above 0, blue below. */
  lossValues: numbers,
  logitContributions: z.string().nullable(),
  binMin: z.number().nullable(),
  binMax: z.number().nullable(),
  binContains: z.number().nullable(),
  qualifyingTokenIndex: z.int().nullable(),
  zIndices: z.null(),
  zValues: z.null(),
});
export type NeuronpediaActivation = z.infer<typeof neuronpediaActivation>;
