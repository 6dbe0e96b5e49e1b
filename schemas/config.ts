// The configuration of a run, stage by stage: the only place where defaults live. Defaults are those of the reference
// code [S] (shehper/sparse-dictionary-learning) and nanoGPT [N] where these give one; presets/ override them.
import { z } from 'zod';
import { hookPattern } from './hooks.ts';
import { outsideKey, sha256Hex } from './keys.ts';
import { defaultProbes, probe } from './probes.ts';

const positive = z.int().positive();
const fraction = z.number().min(0).max(1);
/** A loss, gradient or weight that is not finite: stop for a person, or go back to the last milestone and on from there at half the learning rate. */
const onDivergence = z.enum(['fail', 'halveLearningRate']).default('fail');

export const corpusConfig = z.strictObject({
  /**
   * Globs of .txt, .jsonl or .parquet files (.gz and .zst too) on a disk, in S3 (s3://bucket/pattern) or in a dataset of
   * the Hugging Face hub (hf://datasets/OWNER/NAME[@REVISION][/PATTERN]), or `demo:` for the corpus the project builds
   * itself. Content, not place, decides the key.
   */
  paths: outsideKey(z.array(z.string().min(1)).min(1).default(['demo:'])),
  textField: z.string().min(1).default('text'),
  idField: z.string().min(1).optional(),
  langField: z.string().min(1).default('lang'),
  sourceField: z.string().min(1).default('source'),
  /** Bad lines above this share of a shard's lines refuse the corpus. */
  maxBadFraction: fraction.default(0),
});

/** GPT-2's ids, end of text included. */
const gpt2VocabSize = 50_257;
const pathOfJson = z.string().regex(/\.json$/, 'not the path of a tokenizer.json');

/** Somebody else's tokenizer: a byte-level BPE tokenizer.json of Hugging Face's tokenizers. */
const importedTokenizer = z.strictObject({
  /** A path, or a file: or s3: URI, that the worker can read when the run starts. Content, not place, decides the key. */
  file: outsideKey(pathOfJson),
  /** Of the file. Found when the run starts; when given, the file must have it. */
  sha256: sha256Hex.optional(),
});

export const tokenizeConfig = z
  .strictObject({
    /** `gpt2`, or the path of a tokenizer.json. */
    tokenizer: z
      .union([z.literal('gpt2'), pathOfJson.transform((file): z.infer<typeof importedTokenizer> => ({ file })), importedTokenizer], { error: 'use gpt2, or the path of a tokenizer.json, or {file, sha256}' })
      .default('gpt2'),
    /** Ids the tokenizer uses: 50257 is all of GPT-2; N smaller keeps the first N-1 merges and end of text. A tokenizer.json brings its own number. */
    vocabSize: z.int().min(257).max(2 ** 21).default(gpt2VocabSize),
    /** The name of the token that ends a document, of a tokenizer.json; absent: <|endoftext|>. */
    endOfText: z.string().min(1).optional(),
    /** Share of documents held out of all training [N]. */
    heldOutFraction: z.number().gt(0).lt(1).default(0.0005),
    splitSeed: z.int().nonnegative().default(2357),
    /** Corpus bytes a shard covers: bounds a worker's memory at a few times this. */
    shardBytes: positive.default(64 * 2 ** 20),
  })
  .superRefine(({ tokenizer, vocabSize, endOfText }, context) => {
    if (tokenizer !== 'gpt2') return;
    if (vocabSize > gpt2VocabSize) {
      context.addIssue({ code: 'custom', path: ['vocabSize'], message: `GPT-2 has ${gpt2VocabSize} ids: use that or fewer` });
    }
    if (endOfText !== undefined) {
      context.addIssue({ code: 'custom', path: ['endOfText'], message: 'GPT-2 has its own, <|endoftext|>: leave endOfText out, or name a tokenizer.json in tokenizer' });
    }
  });

export const architectureConfig = z
  .strictObject({
    nLayer: positive.default(1),
    nHead: positive.default(4),
    dModel: positive.default(128),
    dMlp: positive.default(512),
    contextLength: positive.default(1024),
    /** Biases in linear layers and LayerNorm. */
    bias: z.boolean().default(false),
    activation: z.enum(['gelu', 'gelu-tanh', 'relu']).default('gelu'),
  })
  .superRefine((value, context) => {
    if (value.dModel % value.nHead !== 0) {
      context.addIssue({
        code: 'custom',
        path: ['nHead'],
        message: `dModel ${value.dModel} is not divisible by nHead ${value.nHead}: choose nHead among the divisors of dModel`,
      });
    }
  });

export const transformerTrainingConfig = z
  .strictObject({
    steps: positive.default(200_000),
    /** Sequences in one forward pass. */
    batchSize: positive.default(12),
    gradientAccumulation: positive.default(40),
    learningRate: z.number().positive().default(6e-4),
    minLearningRate: z.number().nonnegative().default(6e-5),
    warmupSteps: z.int().nonnegative().default(2_000),
    beta1: fraction.default(0.9),
    beta2: fraction.default(0.95),
    epsilon: z.number().positive().default(1e-8),
    weightDecay: z.number().nonnegative().default(0.1),
    gradientClip: z.number().positive().default(1),
    evaluateEverySteps: positive.default(2_000),
    /** Held-out sequences in an evaluation during training. */
    evaluationSequences: positive.default(2_400),
    onDivergence,
    checkpointEverySteps: outsideKey(positive.default(500)),
  })
  .superRefine((value, context) => {
    if (value.minLearningRate > value.learningRate) {
      context.addIssue({
        code: 'custom',
        path: ['minLearningRate'],
        message: `${value.minLearningRate} is above learningRate ${value.learningRate}: the schedule only decays`,
      });
    }
  });

export const transformerConfig = z.strictObject({
  architecture: architectureConfig.prefault({}),
  training: transformerTrainingConfig.prefault({}),
});

export const activationsConfig = z.strictObject({
  /** `windows`: non-overlapping, every position at most once [P]. `random-offsets`: with replacement [S]. */
  plan: z.enum(['windows', 'random-offsets']).default('windows'),
  /** Prompts of contextLength tokens; null takes every window of the corpus once (plan `windows` only). */
  prompts: positive.nullable().default(null),
  positionsPerPrompt: positive.default(200),
  promptsPerShard: positive.default(1_250),
  /** Prompts in one forward pass. */
  batchPrompts: positive.default(32),
  dtype: z.enum(['float16', 'float32']).default('float16'),
  /** A number beyond what dtype holds (float16 ends at 65,504): refuse the shard, or store the largest there is and count it. */
  onOverflow: z.enum(['fail', 'saturate']).default('fail'),
  /** What becomes of a shard's file when every SAE that reads it has a checkpoint beyond it: it stays, or is deleted and made again should anyone ask. */
  retention: outsideKey(z.enum(['keep', 'consume']).default('keep')),
  /** Under `consume` the most shards there are at once; null is three times an SAE's mixShards: two groups being read and one ahead. */
  windowShards: outsideKey(positive.nullable().default(null)),
});

export const resamplingConfig = z.strictObject({
  steps: z.array(positive).default([25_000, 50_000, 75_000, 100_000]),
  /** A feature is dead if it never fired in this many steps before a resampling. */
  deadWindowSteps: positive.default(12_500),
  /** Random training vectors from which the new directions are drawn, with p ∝ loss². */
  candidates: positive.default(819_200),
  /** `centred`: the new direction is x − b_d [P]; `raw`: x itself [S]. */
  direction: z.enum(['centred', 'raw']).default('centred'),
  /** New encoder rows' norm as a share of the mean norm of the alive ones. */
  encoderNormScale: z.number().positive().default(0.2),
  /** Steps of linear learning-rate re-warm-up after a resampling; 0 is none [P]. */
  rewarmupSteps: z.int().nonnegative().default(0),
});

export const saeConfig = z.strictObject({
  /** Shown in the UI and used in folder names; not part of the key. */
  name: outsideKey(z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'use lower-case letters, digits and hyphens').default('sae')),
  /** A TransformerLens hook point, such as blocks.0.mlp.hook_post. */
  hook: z.string().regex(hookPattern, 'not a hook point: use blocks.{layer}.hook_resid_pre, attn.hook_z, hook_attn_out, hook_resid_mid, mlp.hook_pre, mlp.hook_post, hook_mlp_out or hook_resid_post').default('blocks.0.mlp.hook_post'),
  features: positive.default(4_096),
  l1Coefficient: z.number().nonnegative().default(1e-3),
  /** Whether the squared error is averaged (`mean`, [P][S]) or summed over the d components; λ(sum) = d · λ(mean). */
  lossConvention: z.enum(['mean', 'sum']).default('mean'),
  /** `unit-mean-square` scales inputs so that E‖x‖² = d during training; it is folded into the exported weights. */
  normalizeActivations: z.enum(['none', 'unit-mean-square']).default('none'),
  decoderBiasInit: z.enum(['geometric-median', 'linear']).default('geometric-median'),
  /** Vectors read for the geometric median and the normalisation. */
  initVectors: positive.default(32_768),
  learningRate: z.number().positive().default(3e-4),
  beta1: fraction.default(0.9),
  beta2: fraction.default(0.999),
  epsilon: z.number().positive().default(1e-8),
  /** Share of the last steps over which the learning rate falls linearly to 0; 0 is none [P][S]. */
  decayFraction: fraction.default(0),
  /** Steps over which λ rises linearly from 0; 0 is none [P][S]. */
  l1WarmupSteps: z.int().nonnegative().default(0),
  batchSize: positive.default(8_192),
  /** Passes over the activations; each reads every vector once, but for the last incomplete batch of all. */
  epochs: positive.default(1),
  /** Activation shards mixed at once by the shuffled reader. */
  mixShards: positive.default(8),
  resampling: resamplingConfig.prefault({}),
  /** Steps of one segment activity: the history shows the loss by segment. */
  segmentSteps: positive.default(5_000),
  onDivergence,
  checkpointEverySteps: outsideKey(positive.default(1_000)),
});

export const dashboardConfig = z.strictObject({
  /** Held-out tokens to read; null reads all. */
  tokens: positive.nullable().default(null),
  topExamples: positive.default(20),
  intervals: positive.default(11),
  examplesPerInterval: positive.default(5),
  /** Tokens shown before and after the one that fired. */
  contextBefore: z.int().nonnegative().default(24),
  contextAfter: z.int().nonnegative().default(8),
  histogramBins: positive.default(40),
  logitsShown: positive.default(10),
  windowsPerShard: positive.default(256),
  batchWindows: positive.default(16),
  featuresPerBlock: positive.default(512),
  /** At most one top example a document, not only one a window. */
  dedupeByDocument: z.boolean().default(false),
  /** Firings of a feature, drawn without replacement, over which its mean ablation effect and its share of the loss are taken; effects that are shown are all computed. */
  ablationFirings: positive.default(128),
  /** Held-out tokens, whole windows drawn at random, over which features are correlated with each other. Bounds a block's memory. */
  correlationTokens: positive.default(2 ** 20),
  /** Neurons and features listed on a feature's page, of each kind. */
  relatedShown: positive.default(5),
  /** What to look for among the features (SPEC §7). A path of a JSON file that holds such a list is read by `saeflow run`. */
  probes: z
    .array(probe, { error: (issue) => (typeof issue.input === 'string' ? 'a file of probes is read by saeflow run and saeflow plan only: give the list itself' : undefined) })
    .default(() => z.array(probe).parse(defaultProbes))
    .refine((probes) => new Set(probes.map(({ name }) => name)).size === probes.length, 'two probes have the same name'),
  /** Held-out texts shown with all activations on them, of every kind some; none of them longer than the context. */
  exampleTexts: z.int().min(1).max(1000).default(25),
});

/** Place in the queues: of the tasks that wait, those of 1 are served first, those of 5 last. */
export const runPriority = z.int().min(1).max(5);

/** How a run is carried out: nothing here changes a result, so nothing here is in a key. */
export const executionConfig = z.strictObject({
  /** Shard activities in flight at once in one stage. */
  concurrency: positive.default(4),
  shardAttempts: positive.default(5),
  /** What a shard that fails all its attempts does to the stage: wait for a person, fail it, or leave the shard out. */
  onShardFailure: z.enum(['park', 'fail', 'skip']).default('park'),
  /** `skip` and skipFailedShards are refused when fewer than this share of shards would remain. */
  minShardFraction: fraction.default(0.99),
  /** So that a short run overtakes a long one on a busy queue, at the next shard or segment. */
  priority: runPriority.default(3),
});

export const pipelineConfig = z
  .strictObject({
    name: outsideKey(z.string().regex(/^[a-z0-9][a-z0-9-]*$/, 'use lower-case letters, digits and hyphens').default('run')),
    seed: z.int().nonnegative().default(1),
    corpus: corpusConfig.prefault({}),
    tokenize: tokenizeConfig.prefault({}),
    transformer: transformerConfig.prefault({}),
    activations: activationsConfig.prefault({}),
    saes: z.array(saeConfig).min(1).prefault([{}]),
    dashboard: dashboardConfig.prefault({}),
    execution: outsideKey(executionConfig.prefault({})),
  })
  .superRefine((value, context) => {
    const { architecture } = value.transformer;
    if (value.activations.positionsPerPrompt > architecture.contextLength) {
      context.addIssue({
        code: 'custom',
        path: ['activations', 'positionsPerPrompt'],
        message: `${value.activations.positionsPerPrompt} positions do not fit a prompt of transformer.architecture.contextLength ${architecture.contextLength}: lower it to ${architecture.contextLength} or less`,
      });
    }
    if (value.activations.plan === 'random-offsets' && value.activations.prompts === null) {
      context.addIssue({ code: 'custom', path: ['activations', 'prompts'], message: 'plan random-offsets needs a number of prompts' });
    }
    const names = new Set<string>();
    value.saes.forEach((sae, index) => {
      const layer = Number(hookPattern.exec(sae.hook)?.[1]);
      if (layer >= architecture.nLayer) {
        context.addIssue({
          code: 'custom',
          path: ['saes', index, 'hook'],
          message: `${sae.hook}: layer ${layer} is not there, the model has nLayer ${architecture.nLayer} (layers 0 to ${architecture.nLayer - 1})`,
        });
      }
      if (names.has(sae.name)) {
        context.addIssue({ code: 'custom', path: ['saes', index, 'name'], message: `${sae.name} is used twice: name each SAE differently` });
      }
      names.add(sae.name);
      sae.resampling.steps.forEach((step, position) => {
        if (step < sae.resampling.deadWindowSteps) {
          context.addIssue({
            code: 'custom',
            path: ['saes', index, 'resampling', 'steps', position],
            message: `step ${step} comes before deadWindowSteps ${sae.resampling.deadWindowSteps} have passed: resample later or shorten the window`,
          });
        }
      });
    });
  });

export type CorpusConfig = z.infer<typeof corpusConfig>;
export type TokenizeConfig = z.infer<typeof tokenizeConfig>;
export type ArchitectureConfig = z.infer<typeof architectureConfig>;
export type TransformerConfig = z.infer<typeof transformerConfig>;
export type TransformerTrainingConfig = z.infer<typeof transformerTrainingConfig>;
export type ActivationsConfig = z.infer<typeof activationsConfig>;
export type ResamplingConfig = z.infer<typeof resamplingConfig>;
export type SaeConfig = z.infer<typeof saeConfig>;
export type DashboardConfig = z.infer<typeof dashboardConfig>;
export type ExecutionConfig = z.infer<typeof executionConfig>;
export type PipelineConfig = z.infer<typeof pipelineConfig>;
/** What a person writes: every field optional. */
export type PipelineInput = z.input<typeof pipelineConfig>;

/** Vocabulary rows of the model: the tokenizer's ids padded to a multiple of 64 (50257 → 50304 [N]). */
export function paddedVocabSize(vocabSize: number): number {
  return Math.ceil(vocabSize / 64) * 64;
}

/** Components of the vectors at a hook point. */
export function hookWidth({ dMlp, dModel }: ArchitectureConfig, hook: string): number {
  return hook.endsWith('mlp.hook_pre') || hook.endsWith('mlp.hook_post') ? dMlp : dModel;
}
