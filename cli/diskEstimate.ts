// How much disk a run takes when it takes most, with activations kept and with activations consumed, as sums that a person
// can check: what is stored at the end, and the activations that are there at once.
import { rowsPerGroup } from '../data/activationFormat.ts';
import { ReadingPlan } from '../data/readingPlan.ts';
import { storedVectorBytes, windowOf } from '../data/supplyPlan.ts';
import { hookWidth, type PipelineConfig, type SaeConfig } from '../schemas/config.ts';
import { estimateStages, sampledVectors, type CorpusSize } from './estimates.ts';
import { formatBytes, formatCount } from '../schemas/format.ts';

export interface DiskEstimate {
  /** All but activations, at the end. */
  otherBytes: number;
  keep: ActivationsAtOnce;
  consume: ActivationsAtOnce;
  /** As the run is configured. */
  peakBytes: number;
}

/** Activations that are on the disk at once, and why it is so many. */
export interface ActivationsAtOnce {
  bytes: number;
  sum: string;
}

/** More groups of equal shards than this say nothing new, and a plan should not take minutes. */
const shardsLookedAt = 20_000;

/** Peak disk of a run. */
export function estimateDisk(config: PipelineConfig, corpus: CorpusSize): DiskEstimate {
  const otherBytes = estimateStages(config, corpus).reduce((sum, { stage, bytes }) => sum + (stage === 'sampleActivations' ? 0 : bytes), 0);
  const hooks = [...new Set(config.saes.map(({ hook }) => hook))];
  const keep = together(hooks.map((hook) => kept(config, corpus, hook)));
  const consume = together(hooks.map((hook) => consumed(config, corpus, hook)));
  return { otherBytes, keep, consume, peakBytes: otherBytes + (config.activations.retention === 'consume' ? consume : keep).bytes };
}

/** For messages: `3.1 GB of activations (24 of 16,000 shards × …) + 1.2 GB of the rest`. */
export function describePeak({ otherBytes, keep, consume }: DiskEstimate, retention: PipelineConfig['activations']['retention']): string {
  const { bytes, sum } = retention === 'consume' ? consume : keep;
  return `${formatBytes(bytes)} of activations (${sum}) + ${formatBytes(otherBytes)} of the rest`;
}

function kept(config: PipelineConfig, corpus: CorpusSize, hook: string): ActivationsAtOnce {
  const vectors = sampledVectors(config, corpus);
  const vectorBytes = storedVectorBytes(hookWidth(config.transformer.architecture, hook), config.activations.dtype);
  return { bytes: vectors * vectorBytes, sum: `${formatCount(vectors)} vectors × ${vectorBytes.toLocaleString('en')} B` };
}

/** The window, or the shards of one job where these are more. SAEs of one hook share a window. */
function consumed(config: PipelineConfig, corpus: CorpusSize, hook: string): ActivationsAtOnce {
  const { activations } = config;
  const prompts = sampledVectors(config, corpus) / activations.positionsPerPrompt;
  const shards = Math.ceil(prompts / activations.promptsPerShard);
  const readers = config.saes.filter((sae) => sae.hook === hook);
  const atOnce = Math.min(shards, Math.max(...readers.map((sae) => Math.max(windowOf(activations, sae), largestNeed(config, sae, prompts)))));
  const rows = Math.min(prompts, activations.promptsPerShard) * activations.positionsPerPrompt;
  const vectorBytes = storedVectorBytes(hookWidth(config.transformer.architecture, hook), activations.dtype);
  const bytes = Math.min(atOnce * rows, prompts * activations.positionsPerPrompt) * vectorBytes;
  return { bytes, sum: `${atOnce.toLocaleString('en')} of ${formatCount(shards)} shards × ${formatCount(rows)} vectors × ${vectorBytes.toLocaleString('en')} B` };
}

function largestNeed({ activations, seed }: PipelineConfig, { mixShards, batchSize, epochs, initVectors, resampling }: SaeConfig, prompts: number): number {
  const { promptsPerShard, positionsPerPrompt } = activations;
  const sizes = Array.from({ length: Math.min(Math.ceil(prompts / promptsPerShard), shardsLookedAt) }, (_, shard) => Math.min(promptsPerShard, prompts - shard * promptsPerShard) * positionsPerPrompt);
  if (sizes.length === 0) return 0;
  const plan = new ReadingPlan({ sizes, blockRows: rowsPerGroup, mixShards, seed, batchSize, epochs, initVectors, candidates: resampling.candidates, resamplings: resampling.steps });
  if (plan.batches === 0) return 0;
  // Where segments end makes no job read more.
  return plan.largestNeed([...resampling.steps.filter((step) => step < plan.batches), plan.batches].sort((a, b) => a - b));
}

function together(parts: readonly ActivationsAtOnce[]): ActivationsAtOnce {
  return { bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0), sum: parts.map(({ sum }) => sum).join(' + ') };
}
