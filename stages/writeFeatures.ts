// One block of features from all shards of activations: their pages with logit weights and nearest neighbours, in
// chunks as the page fetches them, and the block's columns of the index.
import * as tf from '@tensorflow/tfjs-core';
import { artifactPath, readReceipt, readVerified } from '../data/artifact.ts';
import { featurePageOf, histogramOf, rounded, type Firings, type ReadText } from '../data/featurePages.ts';
import { heldOutWindows } from '../data/heldOut.ts';
import { decodeSafetensors } from '../data/safetensors.ts';
import { blockReceipt, chunkPath, indexPath } from '../data/dashboardSite.ts';
import { matMul } from '../model/kernels.ts';
import { logitWeights } from '../model/logitWeights.ts';
import type { FileEntry, Receipt } from '../schemas/artifact.ts';
import type { DashboardConfig } from '../schemas/config.ts';
import { featuresPerChunk, type FeaturePage } from '../schemas/dashboard.ts';
import { UserError } from '../schemas/errors.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { specOf } from '../data/inputs.ts';
import { openModel, openSae, openTokens } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';

/** Writes features [block · featuresPerBlock, …). */
export async function writeFeaturesBlock(id: ArtifactId, block: number, context: JobContext): Promise<Receipt> {
  const started = performance.now();
  const { store } = context;
  const { config, inputs } = await specOf(store, id, 'exportDashboard');
  const { dashboard } = config;
  const { tokens, vocabSize } = await openTokens(store, inputs.tokenize, 'heldOut');
  const { model, architecture } = await openModel(store, inputs.trainTransformer);
  const { sae, mean } = await openSae(store, inputs.trainSae);
  const { hook } = (await specOf(store, { stage: 'sampleActivations', key: inputs.sampleActivations }, 'sampleActivations')).config;
  const windows = heldOutWindows(tokens.length, architecture.contextLength, dashboard.tokens);
  const text: ReadText = { tokens: await tokens.read(0, windows * architecture.contextLength), contextLength: architecture.contextLength, documents: await tokens.documents('heldOut') };
  const features = sae.b_enc.size;
  const first = block * dashboard.featuresPerBlock;
  const count = Math.min(dashboard.featuresPerBlock, features - first);
  const shards = Math.ceil(windows / dashboard.windowsPerShard);
  const firings = await firingsOf(id, first, count, shards, dashboard.windowsPerShard * architecture.contextLength, context);

  const files: FileEntry[] = [];
  const put = async (path: string, value: unknown, rows: number) => files.push({ path, ...(await store.put(artifactPath(id, path), Buffer.from(JSON.stringify(value)))), rows });
  const index = { density: [] as number[], maxActivation: [] as number[], topToken: [] as number[], topLang: [] as string[], topLangShare: [] as number[], topExamples: [] as number[] };
  for (let start = 0; start < count; start += featuresPerChunk) {
    const size = Math.min(featuresPerChunk, count - start);
    const weights = tf.tidy(() => {
      const rows = tf.slice2d(sae.W_dec, [first + start, 0], [size, -1]);
      const logits = tf.slice2d(logitWeights(model, hook, rows), [0, 0], [size, vocabSize]);
      return { logits: logits.dataSync() as Float32Array, cosines: matMul(rows, sae.W_dec, false, true).dataSync() as Float32Array };
    });
    const pages = Array.from({ length: size }, (_, row): FeaturePage => {
      const feature = first + start + row;
      return {
        ...featurePageOf(feature, firings[start + row]!, text, dashboard),
        logits: logitsOf(weights.logits.slice(row * vocabSize, (row + 1) * vocabSize), dashboard),
        nearest: nearestOf(feature, weights.cosines.subarray(row * features, (row + 1) * features)),
      };
    });
    for (const page of pages) addToIndex(index, page);
    await put(chunkPath(Math.floor((first + start) / featuresPerChunk)), pages, size);
    context.report({ done: start + size, total: count, unit: 'features', metrics: {} });
    await breathe();
    if (context.shouldStop()) throw new StoppedError();
  }
  tf.dispose([model.parameters, { ...sae }, mean]);
  await put(indexPath(block), index, count);
  return { shard: blockReceipt(shards, block), files, metrics: { features: count }, seconds: (performance.now() - started) / 1000, device: context.device };
}

/** The firings of features [first, first + count), from every shard, in token order. */
async function firingsOf(id: ArtifactId, first: number, count: number, shards: number, tokensPerShard: number, context: JobContext): Promise<Firings[]> {
  const lists = Array.from({ length: count }, () => ({ tokens: [] as number[], values: [] as number[] }));
  for (let shard = 0; shard < shards; shard++) {
    const receipt = await readReceipt(context.store, id, shard);
    // a shard that was skipped by its operator has no receipt; its tokens count as read without any firing
    if (receipt === null) continue;
    const { tensors } = decodeSafetensors(await readVerified(context.store, id, receipt.files[0]!));
    const [token, feature, value] = ['token', 'feature', 'value'].map((name) => {
      const tensor = tensors[name];
      if (tensor === undefined) throw new UserError(`${receipt.files[0]!.path} has no tensor ${name}`, 'Delete the artifact folder and run again.');
      return tensor.data as Float32Array;
    }) as [Float32Array, Float32Array, Float32Array];
    for (let index = 0; index < feature.length; index++) {
      const list = lists[feature[index]! - first];
      if (list === undefined) continue;
      list.tokens.push(shard * tokensPerShard + token[index]!);
      list.values.push(value[index]!);
    }
    await breathe();
  }
  return lists.map(({ tokens, values }) => ({ tokens: Int32Array.from(tokens), values: Float32Array.from(values) }));
}

function logitsOf(weights: Float32Array, { logitsShown, histogramBins }: DashboardConfig): FeaturePage['logits'] {
  const sorted = Float32Array.from(weights).sort();
  const middle = sorted.length / 2;
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  const order = Array.from(weights.keys()).sort((a, b) => weights[b]! - weights[a]! || a - b);
  const shown = (tokens: number[]) => tokens.map((token) => ({ token, value: rounded(weights[token]! - median) }));
  const low = sorted[0]! - median;
  const high = sorted.at(-1)! - median;
  const counts = histogramOf(weights.map((weight) => weight - median), low, high, histogramBins);
  return { top: shown(order.slice(0, logitsShown)), bottom: shown(order.slice(-logitsShown).reverse()), histogram: { low: rounded(low), high: rounded(high), counts } };
}

const nearestShown = 5;

function nearestOf(feature: number, cosines: Float32Array): FeaturePage['nearest'] {
  const best: { feature: number; cosine: number }[] = [];
  cosines.forEach((cosine, other) => {
    if (other === feature || (best.length === nearestShown && cosine <= best.at(-1)!.cosine)) return;
    best.push({ feature: other, cosine });
    best.sort((a, b) => b.cosine - a.cosine);
    best.splice(nearestShown);
  });
  return best.map(({ feature: other, cosine }) => ({ feature: other, cosine: rounded(cosine) }));
}

interface IndexColumns {
  density: number[];
  maxActivation: number[];
  topToken: number[];
  topLang: string[];
  topLangShare: number[];
  topExamples: number[];
}

function addToIndex(index: IndexColumns, { density, maxActivation, top }: FeaturePage): void {
  const byToken = new Map<number, number>();
  const byLang = new Map<string, number>();
  for (const { tokens, centre, value, document } of top) {
    byToken.set(tokens[centre]!, (byToken.get(tokens[centre]!) ?? 0) + value);
    byLang.set(document.lang, (byLang.get(document.lang) ?? 0) + 1);
  }
  const [lang, examples] = largest(byLang) ?? ['', 0];
  index.density.push(density);
  index.maxActivation.push(maxActivation);
  index.topToken.push(largest(byToken)?.[0] ?? -1);
  index.topLang.push(lang);
  index.topExamples.push(top.length);
  index.topLangShare.push(top.length === 0 ? 0 : rounded(examples / top.length));
}

function largest<Name>(counts: Map<Name, number>): [Name, number] | undefined {
  return [...counts.entries()].sort(([, a], [, b]) => b - a)[0];
}
