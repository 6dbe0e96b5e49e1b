// The smallest run in which every mechanism happens: several shards at every stage, checkpoints, evaluations, two
// resamplings, several blocks of features. For tests: seconds of computing, results of no use.
import type { PipelineInput } from '../schemas/config.ts';

export const tiny: PipelineInput = {
  name: 'tiny',
  // Larger than the 257 that bytes and end of text need, so that merges are exercised too.
  tokenize: { vocabSize: 512, heldOutFraction: 0.1, shardBytes: 256 * 2 ** 10 },
  transformer: {
    // Two heads, so that heads can be confused; the widths are all different for the same reason.
    architecture: { nLayer: 1, nHead: 2, dModel: 32, dMlp: 64, contextLength: 32 },
    training: {
      steps: 60,
      batchSize: 8,
      gradientAccumulation: 2,
      learningRate: 3e-3,
      minLearningRate: 3e-4,
      warmupSteps: 5,
      // Three segments of four checkpoints each: a kill falls between any two of them.
      evaluateEverySteps: 20,
      evaluationSequences: 16,
      checkpointEverySteps: 5,
    },
  },
  // 512 prompts of 16 positions in 4 shards: 8,192 vectors, 64 SAE steps.
  activations: { prompts: 512, positionsPerPrompt: 16, promptsPerShard: 128, batchPrompts: 32 },
  saes: [
    {
      features: 64,
      l1Coefficient: 4e-3,
      learningRate: 1e-3,
      batchSize: 128,
      initVectors: 1_024,
      mixShards: 2,
      // Away from segment ends on purpose: a resampling makes a milestone of its own.
      resampling: { steps: [20, 40], deadWindowSteps: 15, candidates: 1_024 },
      segmentSteps: 16,
      checkpointEverySteps: 5,
    },
  ],
  // 4 shards of windows and 2 blocks of features.
  dashboard: { tokens: 4_096, topExamples: 5, intervals: 4, examplesPerInterval: 2, contextBefore: 8, contextAfter: 4, histogramBins: 10, logitsShown: 5, windowsPerShard: 32, batchWindows: 8, featuresPerBlock: 32 },
};
