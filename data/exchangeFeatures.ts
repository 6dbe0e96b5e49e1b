// A feature's page as SAEDashboard and Neuronpedia tell it. Both were written for a program that runs the model itself;
// here everything comes from the finished page, so an export needs neither model nor tensors.
import { createHash } from 'node:crypto';
import type { Example, FeaturePage, Vocabulary } from '../schemas/dashboard.ts';
import type { DashboardActivation, DashboardBatch, FeatureStatistics, NeuronpediaActivation, NeuronpediaFeature } from '../schemas/exchange.ts';

/** What the rows of an export have in common. */
export interface ExchangeNames {
  modelId: string;
  layer: number;
  hook: string;
  /** Without the layer. */
  setName: string;
  /** Neuronpedia's id of the SAE: `<layer>-<set>`. */
  sourceId: string;
  creatorId: string;
  createdAt: string;
  dataset: string;
  prompts: number;
  tokensPerPrompt: number;
}

/** An example with the group it belongs to, as both formats list them: the strongest first, then interval by interval. */
interface GroupedExample {
  example: Example;
  binMin: number;
  binMax: number;
  binContains: number;
}

const lossyUtf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Tokens as text. Bytes of a character that spans tokens become U+FFFD, and so does NUL, which PostgreSQL's text cannot hold. */
export function tokenStrings({ tokens }: Vocabulary): string[] {
  return tokens.map((bytes) => lossyUtf8.decode(Buffer.from(bytes, 'latin1')).replaceAll('\0', '\uFFFD'));
}

/** A batch of features as SAEDashboard writes it. */
export function dashboardBatchOf(pages: readonly FeaturePage[], names: ExchangeNames, strings: readonly string[]): DashboardBatch {
  return {
    model_id: names.modelId,
    layer: names.layer,
    sae_set: names.setName,
    sae_id_suffix: null,
    features: pages.map((page) => ({
      feature_index: page.feature,
      ...statisticsOf(page, strings),
      n_prompts_total: names.prompts,
      n_tokens_in_prompt: names.tokensPerPrompt,
      dataset: names.dataset,
      activations: groupedExamples(page).map((grouped) => dashboardActivationOf(grouped, strings)),
    })),
  };
}

/** A feature as a row of Neuronpedia's. */
export function neuronpediaFeatureOf(page: FeaturePage, { modelId, sourceId, setName, creatorId, createdAt, hook }: ExchangeNames, strings: readonly string[]): NeuronpediaFeature {
  return {
    modelId,
    layer: sourceId,
    index: String(page.feature),
    creatorId,
    createdAt,
    maxActApprox: page.maxActivation,
    hasVector: false,
    vectorLabel: null,
    vectorDefaultSteerStrength: page.maxActivation,
    hookName: hook,
    topkCosSimIndices: page.nearest.map(({ feature }) => feature),
    topkCosSimValues: page.nearest.map(({ cosine }) => cosine),
    ...statisticsOf(page, strings),
    sourceSetName: setName,
  };
}

/** A feature's examples as rows of Neuronpedia's, with ablations. */
export function neuronpediaActivationsOf(page: FeaturePage, { modelId, sourceId, creatorId, createdAt }: ExchangeNames, strings: readonly string[]): NeuronpediaActivation[] {
  return groupedExamples(page).map(({ example, binMin, binMax, binContains }, place) => {
    const maxValue = Math.max(...example.activations);
    const index = String(page.feature);
    return {
      id: `c${createHash('sha256').update(JSON.stringify([modelId, sourceId, index, place, example.document, example.centre])).digest('hex').slice(0, 24)}`,
      tokens: example.tokens.map((token) => strings[token]!),
      index,
      layer: sourceId,
      modelId,
      maxValue,
      maxValueTokenIndex: example.activations.indexOf(maxValue),
      minValue: Math.min(...example.activations),
      values: example.activations,
      creatorId,
      dataSource: `${example.document.file}:${example.document.line}`,
      dataIndex: example.document.id,
      dfaValues: [],
      dfaTargetIndex: null,
      dfaMaxValue: null,
      createdAt,
      // Ours is what the feature adds to the log-probability, theirs to the loss; 0, not -0, where it does nothing.
      lossValues: example.effects.map((effect) => (effect === 0 ? 0 : -effect)),
      logitContributions: null,
      binMin,
      binMax,
      binContains,
      qualifyingTokenIndex: example.centre,
      zIndices: null,
      zValues: null,
    };
  });
}

function dashboardActivationOf({ example, binMin, binMax, binContains }: GroupedExample, strings: readonly string[]): DashboardActivation {
  return {
    bin_min: binMin,
    bin_max: binMax,
    bin_contains: binContains,
    tokens: example.tokens.map((token) => strings[token]!),
    values: example.activations,
    qualifying_token_index: example.centre,
  };
}

function groupedExamples(page: FeaturePage): GroupedExample[] {
  const strongest = page.top.map((example) => ({ example, binMin: -1, binMax: page.maxActivation, binContains: -1 }));
  const intervals = page.intervals.flatMap(({ low, high, count, examples }) => examples.map((example) => ({ example, binMin: low, binMax: high, binContains: count / page.count })));
  return [...strongest, ...intervals];
}

function statisticsOf(page: FeaturePage, strings: readonly string[]): FeatureStatistics {
  const { logits, neurons, correlatedNeurons, correlatedFeatures, histogram, maxActivation, density } = page;
  const text = ({ token }: { token: number }) => strings[token]!;
  const bars = logits.histogram;
  return {
    neuron_alignment_indices: neurons.map(({ neuron }) => neuron),
    neuron_alignment_values: neurons.map(({ weight }) => weight),
    neuron_alignment_l1: neurons.map(({ share }) => share),
    correlated_neurons_indices: correlatedNeurons.map(({ neuron }) => neuron),
    // Despite its name the cosine of activations, which a page has not: 0, since Neuronpedia's page fails on a shorter list.
    correlated_neurons_l1: correlatedNeurons.map(() => 0),
    correlated_neurons_pearson: correlatedNeurons.map(({ pearson }) => pearson),
    correlated_features_indices: correlatedFeatures.map(({ feature }) => feature),
    correlated_features_l1: correlatedFeatures.map(() => 0),
    correlated_features_pearson: correlatedFeatures.map(({ pearson }) => pearson),
    neg_str: logits.bottom.map(text),
    neg_values: logits.bottom.map(({ value }) => value),
    pos_str: logits.top.map(text),
    pos_values: logits.top.map(({ value }) => value),
    frac_nonzero: density,
    freq_hist_data_bar_values: centres(0, maxActivation, histogram.length),
    freq_hist_data_bar_heights: histogram,
    logits_hist_data_bar_heights: bars.counts,
    logits_hist_data_bar_values: centres(bars.low, bars.high, bars.counts.length),
    decoder_weights_dist: [],
    vector: [],
  };
}

function centres(low: number, high: number, bins: number): number[] {
  return Array.from({ length: bins }, (_, bin) => low + ((bin + 0.5) * (high - low)) / bins);
}
