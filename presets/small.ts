// Between the demo and the real thing: an hour or two on one GPU, a night on a desktop's CPU, on a corpus of one's own
// of some 100 MB to 1 GB (set corpus.paths). Features are good enough to study.
import type { PipelineInput } from '../schemas/config.ts';

export const small: PipelineInput = {
  name: 'small',
  // 16,384 merges hold most words of European languages in one or two tokens, at a third of GPT-2's unembedding.
  tokenize: { vocabSize: 16_384, heldOutFraction: 0.005, shardBytes: 16 * 2 ** 20 },
  transformer: {
    // The reference's architecture at half its context.
    architecture: { nLayer: 1, nHead: 4, dModel: 128, dMlp: 512, contextLength: 512 },
    training: {
      // 32,768 tokens a step, 655 M tokens in all: a few epochs of the corpus above.
      steps: 20_000,
      batchSize: 16,
      gradientAccumulation: 4,
      // Between the demo's and the reference's, as is the batch.
      learningRate: 1e-3,
      minLearningRate: 1e-4,
      warmupSteps: 500,
      evaluateEverySteps: 500,
      evaluationSequences: 256,
      checkpointEverySteps: 100,
    },
  },
  // All windows once, as the paper demands; 200 positions as the reference takes, of 512.
  activations: { positionsPerPrompt: 200, promptsPerShard: 1_000, batchPrompts: 32 },
  saes: [
    {
      // Eight times the 512 neurons: the paper's A/1 and the reference.
      features: 4_096,
      l1Coefficient: 4e-3,
      normalizeActivations: 'unit-mean-square',
      learningRate: 5e-4,
      batchSize: 4_096,
      // A hundred million vectors are about 25,000 steps: resampled through the first half, as the reference does.
      resampling: { steps: [2_500, 5_000, 7_500, 10_000], deadWindowSteps: 1_250, candidates: 204_800 },
      segmentSteps: 500,
      checkpointEverySteps: 250,
    },
  ],
  // A million held-out tokens: enough to see a density of 1e-5.
  dashboard: { tokens: 1_000_000 },
};
