// The first run of a newcomer: minutes on two CPU cores, on the corpus the project builds itself, and features that
// visibly mean something (languages, code).
import type { PipelineInput } from '../schemas/config.ts';

export const demo: PipelineInput = {
  name: 'demo',
  corpus: { paths: ['demo:'] },
  // 8,192 ids: with 50,257 the unembedding would take nine tenths of the time of a model this small. 2 % held out,
  // because the dashboard shows held-out text only and the corpus is small.
  tokenize: { vocabSize: 8_192, heldOutFraction: 0.02, shardBytes: 4 * 2 ** 20 },
  transformer: {
    // The reference's width, at a quarter of its context: attention is then a few per cent of a step.
    architecture: { nLayer: 1, nHead: 4, dModel: 128, dMlp: 512, contextLength: 256 },
    training: {
      steps: 300,
      // 8,192 tokens a step in one forward pass.
      batchSize: 32,
      gradientAccumulation: 1,
      // Five times nanoGPT's: with a few hundred steps only a high rate gets anywhere, and at this size it is stable.
      learningRate: 3e-3,
      minLearningRate: 3e-4,
      warmupSteps: 20,
      evaluateEverySteps: 50,
      evaluationSequences: 64,
      checkpointEverySteps: 25,
    },
  },
  // Every window of the corpus once, 128 of its 256 positions: neighbours are alike, so the rest would add little.
  activations: { positionsPerPrompt: 128, promptsPerShard: 512, batchPrompts: 32 },
  saes: [
    {
      features: 2_048,
      // For inputs of unit mean square. Gave L0 of about 16 at 98 % of the loss recovered in a trial of this size.
      l1Coefficient: 4e-3,
      normalizeActivations: 'unit-mean-square',
      learningRate: 1e-3,
      batchSize: 4_096,
      // Two resamplings in the first half: what they revive has time left to learn.
      resampling: { steps: [100, 200], deadWindowSteps: 75, candidates: 32_768 },
      segmentSteps: 50,
      checkpointEverySteps: 50,
    },
  ],
  dashboard: { windowsPerShard: 64, featuresPerBlock: 512 },
};
