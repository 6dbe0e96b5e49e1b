// A store with tokens and a model of random weights in it, so that a bench can give real jobs to a real compute process
// without training anything first.
import { randomBytes } from 'node:crypto';
import { artifactPath, specKey, writeManifest, writeSpec } from '../data/artifact.ts';
import { openStore, type ArtifactStore } from '../data/artifactStore.ts';
import type { Document } from '../data/documents.ts';
import { encodeSafetensors } from '../data/safetensors.ts';
import { createTokenizer } from '../data/tokenizer.ts';
import { encodeTokenShard } from '../data/tokenShard.ts';
import type { PipelineConfig } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';
import { stageVersions, type ArtifactId, type StageSpec } from '../schemas/stages.ts';
import { transformerWeights } from './transformerInputs.ts';

/** A sampleActivations artifact whose shards can be made. */
export interface SampleJob {
  artifact: ArtifactId;
  storeUri: string;
}

const wordsPerDocument = 2_000;
/** Words of random letters have more tokens than this. */
const tokensPerWord = 1.5;

/** Fills a store in `folder` with what the first `shards` shards of activations of `config`'s first SAE are sampled from. */
export async function storeForSampling(folder: string, config: PipelineConfig, shards = 1): Promise<SampleJob> {
  const store = openStore(folder);
  const { seed, corpus, tokenize, transformer, saes } = config;
  const activations = { ...config.activations, prompts: shards * config.activations.promptsPerShard };
  const tokensNeeded = activations.prompts * transformer.architecture.contextLength;
  const tokens = await put(store, { stage: 'tokenize', config: { corpus, tokenize }, inputs: { corpus: randomBytes(32).toString('hex') } }, await tokenFiles(config, tokensNeeded));
  const weights = encodeSafetensors(transformerWeights(config, ''), { format: 'pt' });
  const model = await put(store, { stage: 'trainTransformer', config: { seed, ...transformer }, inputs: { tokenize: tokens } }, [{ path: 'model.safetensors', bytes: weights }]);
  const spec: StageSpec = { stage: 'sampleActivations', config: { seed, hook: saes[0]!.hook, activations }, inputs: { tokenize: tokens, trainTransformer: model } };
  const artifact = { stage: spec.stage, key: specKey(spec) };
  await writeSpec(store, artifact, spec);
  return { artifact, storeUri: store.uri };
}

interface NewFile {
  path: string;
  bytes: Uint8Array;
  rows?: number;
}

async function tokenFiles({ tokenize }: PipelineConfig, tokensNeeded: number): Promise<NewFile[]> {
  const words = tokensNeeded / tokensPerWord / (1 - tokenize.heldOutFraction);
  const count = Math.ceil(words / wordsPerDocument) + 1;
  const { train, heldOut, documents, counts } = await encodeTokenShard(randomDocuments(count), createTokenizer(tokenize.vocabSize), tokenize);
  return [
    { path: 'shards/00000.train.bin', bytes: train, rows: counts.trainTokens },
    { path: 'shards/00000.heldOut.bin', bytes: heldOut, rows: counts.heldOutTokens },
    { path: 'shards/00000.documents.parquet', bytes: documents, rows: counts.documents },
  ];
}

async function* randomDocuments(count: number): AsyncGenerator<Document> {
  const stream = new RandomStream(1, 'bench', 'words');
  const word = () => String.fromCharCode(...Array.from({ length: 4 + stream.integer(5) }, () => 97 + stream.integer(26)));
  for (let index = 0; index < count; index++) {
    const text = Array.from({ length: wordsPerDocument }, word).join(' ');
    yield { id: `bench-${index}`, text, lang: 'none', source: 'bench', file: 'bench', line: index + 1 };
  }
}

/** Writes an artifact whole and returns its key. */
async function put(store: ArtifactStore, spec: StageSpec, newFiles: NewFile[]): Promise<string> {
  const artifact = { stage: spec.stage, key: specKey(spec) };
  await writeSpec(store, artifact, spec);
  const files = await Promise.all(newFiles.map(async ({ path, bytes, rows }) => ({ path, ...(await store.put(artifactPath(artifact, path), bytes)), ...(rows === undefined ? {} : { rows }) })));
  await writeManifest(store, {
    ...artifact,
    stageVersion: stageVersions[spec.stage],
    config: spec.config,
    inputs: spec.inputs,
    files,
    shards: { total: 1, skipped: [] },
    metrics: {},
    provenance: { codeVersion: 'bench', machine: 'bench', device: 'cpu', backend: 'none', threads: 1, node: process.version, createdAt: new Date(0).toISOString(), seconds: 0, gpuSeconds: 0 },
  });
  return artifact.key;
}
