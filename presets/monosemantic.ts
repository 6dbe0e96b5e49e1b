// The real thing: the run of shehper/sparse-dictionary-learning [S], which re-creates "Towards Monosemanticity" [P], on
// OpenWebText, with nanoGPT's [N] transformer. Needs GPUs, days, and 4.1 TB for the activations.
// Every number is written out, even where it equals a default, so that the preset stays what it is.
import type { PipelineInput } from '../schemas/config.ts';

export const monosemantic: PipelineInput = {
  name: 'monosemantic',
  // OpenWebText on the Hugging Face hub: 8,013,769 documents in 80 Parquet files of about 300 MB and 101 row groups. At
  // a commit, so that the preset stays what it is; the hub's own conversion (~parquet) holds a part of it only.
  corpus: { paths: ['hf://datasets/Skylion007/openwebtext@79d93d786212f7344586290adb811d4ae6a1762c/plain_text/*.parquet'], textField: 'text' },
  tokenize: {
    tokenizer: 'gpt2',
    // All of GPT-2 [N]; 50,304 rows in the model.
    vocabSize: 50_257,
    // [N]'s split: 9.04 B training and 4.4 M validation tokens.
    heldOutFraction: 0.0005,
    splitSeed: 2_357,
    shardBytes: 64 * 2 ** 20,
  },
  transformer: {
    // One layer, 512 neurons [P][S].
    architecture: { nLayer: 1, nHead: 4, dModel: 128, dMlp: 512, contextLength: 1_024, bias: false, activation: 'gelu' },
    training: {
      // 200,000 steps [S] of 12 × 40 × 1,024 = 491,520 tokens [N]: 98 B tokens; [S] reached a validation loss of 4.609.
      steps: 200_000,
      batchSize: 12,
      gradientAccumulation: 40,
      // Cosine from 6e-4 to a tenth of it after 2,000 steps of warm-up [N].
      learningRate: 6e-4,
      minLearningRate: 6e-5,
      warmupSteps: 2_000,
      // AdamW of [N].
      beta1: 0.9,
      beta2: 0.95,
      weightDecay: 0.1,
      gradientClip: 1,
      // 200 × 12 sequences every 2,000 steps [N][S]: 100 segments in the history.
      evaluateEverySteps: 2_000,
      evaluationSequences: 2_400,
      checkpointEverySteps: 200,
    },
  },
  activations: {
    // [S] draws offsets at random: 20 M × 1,024 tokens are 2.27 times the corpus, so windows would not suffice.
    plan: 'random-offsets',
    // 20,000,000 × 200 positions [S] = 4e9 vectors of 512 float16 = 4.1 TB.
    prompts: 20_000_000,
    positionsPerPrompt: 200,
    // 16,000 shards of 250,000 vectors: 256 MB each.
    promptsPerShard: 1_250,
    batchPrompts: 32,
    dtype: 'float16',
  },
  saes: [
    {
      name: 'a1',
      // After the nonlinearity, where [P] looks for features.
      hook: 'blocks.0.mlp.hook_post',
      // Eight times the neurons: A/1 of [P], and [S].
      features: 4_096,
      // In the convention that averages the squared error over the 512 components [S].
      l1Coefficient: 1e-3,
      lossConvention: 'mean',
      normalizeActivations: 'none',
      // [S] leaves b_d where Linear's initialisation puts it; [P] starts from the geometric median.
      decoderBiasInit: 'linear',
      // Adam at 3e-4 with its usual betas, batches of 8,192 [S]: one epoch is 488,281 steps.
      learningRate: 3e-4,
      beta1: 0.9,
      beta2: 0.999,
      batchSize: 8_192,
      epochs: 1,
      // A batch spans thousands of documents; training holds 2 × 64 row groups of 4 MB, 0.5 GB.
      mixShards: 64,
      resampling: {
        // [P][S].
        steps: [25_000, 50_000, 75_000, 100_000],
        deadWindowSteps: 12_500,
        // 100 batches [P][S].
        candidates: 819_200,
        // [S] takes x itself; [P] x − b_d.
        direction: 'raw',
        encoderNormScale: 0.2,
        rewarmupSteps: 0,
      },
      // 98 segments in the history.
      segmentSteps: 5_000,
      checkpointEverySteps: 1_000,
    },
  ],
  // All 4.4 M validation tokens; [P]'s 20 best examples and 11 intervals.
  dashboard: { tokens: null, topExamples: 20, intervals: 11 },
  // One machine with 8 GPUs keeps 8 shards going, and one more each on its way.
  execution: { concurrency: 16 },
};
