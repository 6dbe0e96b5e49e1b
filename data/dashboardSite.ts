// The dashboard's data as one site: what is put together once all blocks of features are written. File names are
// decided here, for those who write the parts and for those who collect them.
import { z } from 'zod';
import type { FileEntry, Receipt } from '../schemas/artifact.ts';
import { featureIndex, featureLabels, runPage, vocabulary, type Curve, type FeatureIndex, type RunPage } from '../schemas/dashboard.ts';
import { UserError } from '../schemas/errors.ts';
import { resamplingResult } from '../schemas/jobs.ts';
import type { ArtifactId, SpecOf } from '../schemas/stages.ts';
import { artifactPath, configInsideKey, readManifest, readSpec } from './artifact.ts';
import type { ArtifactStore } from './artifactStore.ts';
import { evaluationOf, type Evaluation, type EvaluationSums } from './evaluation.ts';
import { rounded } from './featurePages.ts';
import { indexColumns } from './indexColumns.ts';
import { rowsOf, specOf } from './inputs.ts';
import { packIndex } from './packedIndex.ts';
import { blockAnswers, probesPageOf } from './probeAnswers.ts';
import { decodeSafetensors } from './safetensors.ts';
import type { Tokenizer } from './tokenizer.ts';
import { openTokenizer } from './tokenizerFile.ts';

const numbered = (folder: string, index: number) => `${folder}/${String(index).padStart(5, '0')}.json`;

export function chunkPath(chunk: number): string {
  return numbered('site/data/features', chunk);
}

/** A block's columns of the index, until all are there. */
export function indexPath(block: number): string {
  return numbered('work/index', block);
}

/** A block's best answers to the probes, likewise. */
export function probesPath(block: number): string {
  return numbered('work/probes', block);
}

/** The map of the features. */
export const mapPath = 'site/data/map.json';

/** Receipts of blocks are numbered after those of the shards that were read; that of the map follows the last block's. */
export function blockReceipt(shards: number, block: number): number {
  return shards + block;
}

/** Writes index.json (and its columns packed), vocabulary.json, run.json, probes.json and labels.json from the parts in the store; returns them as files of the artifact. */
export async function finishSite(store: ArtifactStore, id: ArtifactId, spec: SpecOf<'exportDashboard'>, receipts: Receipt[]): Promise<{ files: FileEntry[]; metrics: Record<string, number> }> {
  const tokenizeId: ArtifactId = { stage: 'tokenize', key: spec.inputs.tokenize };
  const tokenizer = await openTokenizer(store, tokenizeId, (await specOf(store, tokenizeId, 'tokenize')).config.tokenize);
  const saeSpec = await specOf(store, { stage: 'trainSae', key: spec.inputs.trainSae }, 'trainSae');
  const read = receipts.filter(({ metrics }) => metrics['tokens'] !== undefined);
  const blocks = receipts.filter(({ metrics }) => metrics['features'] !== undefined);
  const evaluation = await evaluationOfShards(store, id, read);
  const index = await indexOf(store, id, blocks, saeSpec.config.sae.features);
  const counts = countFeatures(index);
  const page = await runPageOf(store, spec, evaluation, index, counts);

  const files: FileEntry[] = [];
  const put = async (path: string, value: unknown) => files.push({ path, ...(await store.put(artifactPath(id, path), Buffer.from(JSON.stringify(value)))) });
  await put('site/data/index.json', featureIndex.parse(index));
  for (const { path, bytes } of packIndex(index)) files.push({ path, ...(await store.put(artifactPath(id, path), bytes)) });
  await put('site/data/vocabulary.json', vocabularyOf(tokenizer));
  await put('site/data/run.json', runPage.parse(page));
  await put('site/data/probes.json', probesPageOf(spec.config.dashboard.probes, await partsOf(store, id, blocks, 'work/probes/', blockAnswers)));
  // none yet, said by a file: a page that has to ask for what may not be there leaves errors in the console
  await put('site/data/labels.json', featureLabels.parse({ model: '', labels: [] }));
  const { losses, ...rest } = evaluation;
  return { files, metrics: { ...rest, lossClean: losses.clean, lossReconstructed: losses.reconstructed, lossZero: losses.zero, lossMean: losses.mean, ...counts } };
}

async function evaluationOfShards(store: ArtifactStore, id: ArtifactId, read: Receipt[]): Promise<Evaluation> {
  const total = (name: keyof EvaluationSums) => read.reduce((sum, { metrics }) => sum + metrics[name]!, 0);
  let columnSums: Float64Array | undefined;
  for (const { files } of read) {
    const { tensors } = decodeSafetensors(await store.get(artifactPath(id, files[0]!.path)));
    const part = tensors['sum']!.data as Float64Array;
    columnSums ??= new Float64Array(part.length);
    part.forEach((value, column) => (columnSums![column]! += value));
  }
  if (columnSums === undefined) throw new UserError(`${id.stage}/${id.key}: no shard of held-out tokens was read`, 'Retry the failed shards.');
  const names = ['tokens', 'clean', 'reconstructed', 'zero', 'mean', 'l0', 'l1', 'squaredError', 'squares'] as const;
  return evaluationOf(Object.fromEntries(names.map((name) => [name, total(name)])) as unknown as EvaluationSums, columnSums);
}

/** What each block left under a folder of work/, in the order of the blocks. */
async function partsOf<Part>(store: ArtifactStore, id: ArtifactId, blocks: Receipt[], folder: string, schema: z.ZodType<Part>): Promise<Part[]> {
  const parts: Part[] = [];
  for (const { files } of blocks) {
    const { path } = files.find((file) => file.path.startsWith(folder))!;
    parts.push(schema.parse(JSON.parse(Buffer.from(await store.get(artifactPath(id, path))).toString())));
  }
  return parts;
}

async function indexOf(store: ArtifactStore, id: ArtifactId, blocks: Receipt[], features: number): Promise<FeatureIndex> {
  const parts = await partsOf(store, id, blocks, 'work/index/', indexColumns);
  const lossAdded = parts.flatMap((part) => part.lossAdded);
  const magnitude = lossAdded.reduce((total, added) => total + Math.abs(added), 0);
  const index: FeatureIndex = {
    features,
    density: parts.flatMap((part) => part.density),
    maxActivation: parts.flatMap((part) => part.maxActivation),
    topToken: parts.flatMap((part) => part.topToken),
    topLang: parts.flatMap((part) => part.topLang),
    topLangShare: parts.flatMap((part) => part.topLangShare),
    topExamples: parts.flatMap((part) => part.topExamples),
    ablation: parts.flatMap((part) => part.ablation),
    lossShare: lossAdded.map((added) => (magnitude === 0 ? 0 : rounded(added / magnitude))),
    probe: parts.flatMap((part) => part.probe),
    probeF1: parts.flatMap((part) => part.probeF1),
  };
  if (index.density.length !== features) throw new UserError(`${id.stage}/${id.key}: ${index.density.length} of ${features} features were written`, 'Retry the failed blocks; a dashboard is never published with features missing.');
  return index;
}

/** Below this share of tokens a feature that fired at all is of ultra-low density [P]. */
const ultraLowDensity = 1e-6;

function countFeatures({ density }: FeatureIndex): { alive: number; dead: number; ultraLow: number } {
  const dead = density.filter((value) => value === 0).length;
  const ultraLow = density.filter((value) => value > 0 && value < ultraLowDensity).length;
  return { alive: density.length - dead - ultraLow, dead, ultraLow };
}

function vocabularyOf(tokenizer: Tokenizer) {
  const tokens = Array.from({ length: tokenizer.vocabSize }, (_, token) => Buffer.from(tokenizer.tokenBytes(token)).toString('latin1'));
  return vocabulary.parse({ eot: tokenizer.eot, tokens });
}

async function runPageOf(store: ArtifactStore, { inputs }: SpecOf<'exportDashboard'>, evaluation: Evaluation, index: FeatureIndex, counts: { alive: number; dead: number; ultraLow: number }): Promise<RunPage> {
  const [tokenize, transformer, sae] = await Promise.all([
    readManifest(store, { stage: 'tokenize', key: inputs.tokenize }),
    readManifest(store, { stage: 'trainTransformer', key: inputs.trainTransformer }),
    readManifest(store, { stage: 'trainSae', key: inputs.trainSae }),
  ]);
  const activations = await specOf(store, { stage: 'sampleActivations', key: inputs.sampleActivations }, 'sampleActivations');
  const { tokens, ...numbers } = evaluation;
  const resamplings = await rowsOf(store, { stage: 'trainSae', key: inputs.trainSae }, 'resamplings.jsonl', resamplingResult);
  const stages: ArtifactId[] = [
    { stage: 'tokenize', key: inputs.tokenize },
    { stage: 'trainTransformer', key: inputs.trainTransformer },
    { stage: 'sampleActivations', key: inputs.sampleActivations },
    { stage: 'trainSae', key: inputs.trainSae },
  ];
  return {
    hook: activations.config.hook,
    dIn: sae!.metrics['d']!,
    features: index.features,
    tokens,
    transformer: { valLoss: transformer!.metrics['valLoss']!, unigramLoss: tokenize!.metrics['unigramLoss']!, parameters: transformer!.metrics['parameters']! },
    sae: { ...numbers, ...counts },
    resamplings: resamplings.map(({ step, dead, resampled }) => ({ step, dead, resampled })),
    curves: {
      transformer: await curvesOf(store, stages[1]!, { trainLoss: 'nats per token', valLoss: 'nats per token', learningRate: '' }),
      sae: await curvesOf(store, stages[3]!, { loss: '', mse: 'per component', l0: 'features', dead: 'features', learningRate: '' }),
    },
    lineage: await Promise.all(stages.map((id) => lineageOf(store, id))),
  };
}

async function lineageOf(store: ArtifactStore, id: ArtifactId): Promise<RunPage['lineage'][number]> {
  const spec = await readSpec(store, id);
  // Pages are the same whether activations were kept or consumed.
  const config = spec.stage === 'sampleActivations' ? configInsideKey(spec) : spec.config;
  const { total = 0, skipped = [] } = (await readManifest(store, id))?.shards ?? {};
  return { ...id, config, ...(skipped.length === 0 ? {} : { skipped: { shards: skipped, total } }) };
}

async function curvesOf(store: ArtifactStore, id: ArtifactId, units: Record<string, string>): Promise<Curve[]> {
  const rows = await rowsOf(store, id, 'metrics.jsonl', z.record(z.string(), z.number()));
  return Object.entries(units).map(([name, unit]) => ({ name, unit, steps: rows.map((row) => row['step']!), values: rows.map((row) => row[name]!) }));
}
