// The configuration of the golden tests: the smallest in which every part of every stage takes part (several shards,
// accumulation, evaluations, checkpoints, a resampling, several blocks of features), for a backend in plain JavaScript.
import { resolveInput } from '../../../presets/resolve.ts';
import type { SaeConfig } from '../../../schemas/config.ts';
import type { SpecOf, StageName } from '../../../schemas/stages.ts';

const config = resolveInput({
  preset: 'tiny',
  tokenize: { vocabSize: 300, heldOutFraction: 0.3, shardBytes: 6_000 },
  transformer: {
    architecture: { nLayer: 1, nHead: 2, dModel: 16, dMlp: 24, contextLength: 16 },
    training: { steps: 12, batchSize: 4, gradientAccumulation: 2, warmupSteps: 2, evaluateEverySteps: 6, evaluationSequences: 4, checkpointEverySteps: 3 },
  },
  activations: { prompts: 32, positionsPerPrompt: 8, promptsPerShard: 16, batchPrompts: 8 },
  saes: [{ features: 40, batchSize: 32, epochs: 3, initVectors: 64, mixShards: 2, resampling: { steps: [12], deadWindowSteps: 6, candidates: 64 }, segmentSteps: 8, checkpointEverySteps: 4 }],
  dashboard: { tokens: 1_024, windowsPerShard: 32, batchWindows: 8, featuresPerBlock: 24 },
});

export type InputKeys = Record<Exclude<StageName, 'exportDashboard'>, string>;

export const goldenSpecs = {
  tokenize: (corpus: string): SpecOf<'tokenize'> => ({ stage: 'tokenize', config: { corpus: config.corpus, tokenize: config.tokenize }, inputs: { corpus } }),
  trainTransformer: ({ tokenize }: Pick<InputKeys, 'tokenize'>): SpecOf<'trainTransformer'> => ({ stage: 'trainTransformer', config: { seed: 1, ...config.transformer }, inputs: { tokenize } }),
  sampleActivations: ({ tokenize, trainTransformer }: Pick<InputKeys, 'tokenize' | 'trainTransformer'>): SpecOf<'sampleActivations'> => ({
    stage: 'sampleActivations',
    config: { seed: 1, hook: config.saes[0]!.hook, activations: config.activations },
    inputs: { tokenize, trainTransformer },
  }),
  trainSae: ({ sampleActivations }: Pick<InputKeys, 'sampleActivations'>, change: Partial<SaeConfig> = {}): SpecOf<'trainSae'> => ({
    stage: 'trainSae',
    config: { seed: 1, sae: { ...config.saes[0]!, ...change } },
    inputs: { sampleActivations },
  }),
  exportDashboard: (inputs: InputKeys): SpecOf<'exportDashboard'> => ({ stage: 'exportDashboard', config: { dashboard: config.dashboard }, inputs }),
};

/** Documents of two kinds, as JSON lines. */
export function goldenCorpus(): string {
  const lines = Array.from({ length: 90 }, (_, index) =>
    JSON.stringify({ text: `Satz ${index}: Größe ${index * 7919}, 日本語 и слова. `.repeat(1 + (index % 5)), lang: index % 2 === 0 ? 'de' : 'ja', source: 'golden' }),
  );
  return `${lines.join('\n')}\n`;
}
