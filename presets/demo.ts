// The first run of a newcomer: minutes on two CPU cores, on the corpus the project builds itself, and features that
// visibly mean something (languages, code).
import type { PipelineInput } from '../schemas/config.ts';

export const demo: PipelineInput = {
  name: 'demo',
  corpus: { paths: ['demo:'] },
  // 8,192 ids: with 50,257 the unembedding would take nine tenths of the time of a model this small. 8 % held out,
  // because the dashboard shows held-out text only: twenty examples of a rare feature need some 500,000 tokens.
  tokenize: { vocabSize: 8_192, heldOutFraction: 0.08, shardBytes: 4 * 2 ** 20 },
  transformer: {
    // The reference's width, at a quarter of its context: attention is then a few per cent of a step.
    architecture: { nLayer: 1, nHead: 4, dModel: 128, dMlp: 512, contextLength: 256 },
    training: {
      // Two minutes. Enough for 1.9 nats under the unigram loss; a longer training makes activations that 400 steps of a
      // small SAE can't take apart at an L0 of 16.
      steps: 200,
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
  // 1.89 M vectors, 1.9 GB: 460 SAE steps. Neighbours are alike, so three quarters of the positions of a window do.
  activations: { prompts: 9_820, positionsPerPrompt: 192, promptsPerShard: 250, batchPrompts: 32 },
  saes: [
    {
      // Twice the MLP. Of 2,048 features a third to a half starved in a run this short (density below 1e-5).
      features: 1_024,
      // For inputs of unit mean square. λ rises over the first 320 steps: features find directions before sparsity bites,
      // which halved the unexplained variance at the same L0; 7e-3 gave an L0 of 16.5 (docs/demo-sweep.md).
      l1Coefficient: 8e-3,
      l1WarmupSteps: 320,
      normalizeActivations: 'unit-mean-square',
      learningRate: 1e-3,
      decayFraction: 0.1,
      batchSize: 4_096,
      // Half of the shards side by side: a batch then comes from nearly as many documents as if drawn from everywhere.
      mixShards: 20,
      // Early on: what is revived needs steps to learn, and in a run this short a late resampling only disturbs.
      resampling: { steps: [100, 200, 300], deadWindowSteps: 75, candidates: 32_768 },
      segmentSteps: 50,
      checkpointEverySteps: 50,
    },
  ],
  // Of 1,024 features mean ablation effects over 32 firings each, right to a sixth of their spread; 128 would cost a tenth of
  // the dashboard's time more.
  dashboard: { windowsPerShard: 256, featuresPerBlock: 512, ablationFirings: 32 },
};
