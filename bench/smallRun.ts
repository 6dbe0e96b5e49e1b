// A small real run in this process, for benches that compare what is learnt, not how fast: text from node_modules, a
// transformer trained on it for a minute, and the stages after that as a bench asks for them.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore, type ArtifactStore } from '../data/artifactStore.ts';
import { resolveCorpusFiles } from '../data/corpusFiles.ts';
import { corpusPath } from '../data/plans.ts';
import { resolveInput } from '../presets/resolve.ts';
import type { ArtifactRef } from '../schemas/artifact.ts';
import type { ActivationsConfig, PipelineConfig } from '../schemas/config.ts';
import type { StageSpec } from '../schemas/stages.ts';
import { runStage } from '../stages/inProcess.ts';
import { writeTestCorpus } from './corpus.ts';

export const hook = 'blocks.0.mlp.hook_post';
const documentsPerLanguage = 110;

/** The hooked layer is 128 wide; 735,000 training tokens and 105,000 held out. */
const config = resolveInput({
  preset: 'tiny',
  tokenize: { vocabSize: 1_024, heldOutFraction: 0.1, shardBytes: 2 ** 24 },
  transformer: {
    architecture: { nLayer: 1, nHead: 4, dModel: 32, dMlp: 128, contextLength: 64 },
    training: { steps: 400, batchSize: 32, gradientAccumulation: 1, learningRate: 5e-3, minLearningRate: 5e-4, warmupSteps: 20, evaluateEverySteps: 200, evaluationSequences: 32, checkpointEverySteps: 200 },
  },
  activations: { prompts: null, positionsPerPrompt: 32, promptsPerShard: 1_024, batchPrompts: 64 },
});

export interface SmallRun {
  store: ArtifactStore;
  config: PipelineConfig;
  tokenize: ArtifactRef;
  transformer: ArtifactRef;
  /** Makes a stage, or finds it. */
  make(spec: StageSpec): Promise<ArtifactRef>;
  /** Activations of half of all training tokens, each once: some 370,000. */
  sample(dtype: ActivationsConfig['dtype']): Promise<ArtifactRef>;
}

/** Tokens and a trained model in a store under `folder`. */
export async function smallRun(folder: string, log: (line: string) => void): Promise<SmallRun> {
  const store = openStore(join(folder, 'store'));
  const text = join(folder, 'corpus.jsonl');
  const corpus = 'c'.repeat(64);
  await writeTestCorpus(text, documentsPerLanguage);
  await store.put(corpusPath(corpus), Buffer.from(JSON.stringify(await resolveCorpusFiles([text], folder))));
  const make = async (spec: StageSpec) => (await runStage(store, spec)).artifact;
  const tokenize = await make({ stage: 'tokenize', config: { corpus: config.corpus, tokenize: config.tokenize }, inputs: { corpus } });
  await rm(text);
  const transformer = await make({ stage: 'trainTransformer', config: { seed: config.seed, ...config.transformer }, inputs: { tokenize: tokenize.key } });
  const { trainTokens, heldOutTokens, unigramLoss } = tokenize.metrics;
  log(`a model of one layer on ${trainTokens} tokens: held-out loss ${transformer.metrics['valLoss']!.toFixed(3)} (unigram ${unigramLoss!.toFixed(3)}), ${heldOutTokens} tokens held out`);
  const inputs = { tokenize: tokenize.key, trainTransformer: transformer.key };
  const sample = (dtype: ActivationsConfig['dtype']) => make({ stage: 'sampleActivations', config: { seed: config.seed, hook, activations: { ...config.activations, dtype } }, inputs });
  return { store, config, tokenize, transformer, make, sample };
}
