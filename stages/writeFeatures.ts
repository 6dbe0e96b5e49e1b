// One block of features from all shards of activations: their pages with ablation effects, correlations, logit weights and
// nearest neighbours, in chunks as the page fetches them, the block's columns of the index, and its answers to the probes.
import * as tf from '@tensorflow/tfjs-core';
import { artifactPath } from '../data/artifact.ts';
import { keepBestFew } from '../data/bestFew.ts';
import { alignedNeurons, CoFirings, correlatedNeurons, type ComponentSums } from '../data/correlations.ts';
import { blockReceipt, chunkPath, indexPath, probesPath } from '../data/dashboardSite.ts';
import { ablatedFirings, chooseFirings } from '../data/exampleChoice.ts';
import { featurePageOf, histogramOf, rounded, type ReadText } from '../data/featurePages.ts';
import { isCorrelated, readFirings, readRows, readSums } from '../data/firings.ts';
import { heldOutWindows } from '../data/heldOut.ts';
import { addToIndex, emptyColumns } from '../data/indexColumns.ts';
import { specOf } from '../data/inputs.ts';
import { AnswerBook } from '../data/probeAnswers.ts';
import { bitsPerWord } from '../data/probeMarks.ts';
import { ProbeScores } from '../data/probeScores.ts';
import { matMul } from '../model/kernels.ts';
import { logitWeights } from '../model/logitWeights.ts';
import type { FileEntry, Receipt } from '../schemas/artifact.ts';
import type { DashboardConfig } from '../schemas/config.ts';
import { featuresPerChunk, type FeaturePage } from '../schemas/dashboard.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { ablationEffects } from './ablationEffects.ts';
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
  const { contextLength } = architecture;
  const windows = heldOutWindows(tokens.length, contextLength, dashboard.tokens);
  const text: ReadText = { tokens: await tokens.read(0, windows * contextLength), contextLength, documents: await tokens.documents('heldOut') };
  const [features, d] = sae.W_dec.shape;
  const first = block * dashboard.featuresPerBlock;
  const count = Math.min(dashboard.featuresPerBlock, features - first);
  const shards = Math.ceil(windows / dashboard.windowsPerShard);
  const tokensPerShard = dashboard.windowsPerShard * contextLength;
  const { firings, products } = await readFirings(store, id, block, count, d, shards, tokensPerShard);
  const { losses, bits, words, components } = await readShards(id, shards, tokensPerShard, text.tokens.length, dashboard, context);
  const rows = await readRows(store, id, shards, tokensPerShard);
  const correlated = Array.from({ length: windows }, (_, window) => window).filter((window) => isCorrelated(window, windows, contextLength, dashboard.correlationTokens));
  const coFirings = new CoFirings(rows, correlated.length * contextLength, text.tokens.length, features);
  const scores = new ProbeScores(bits, words, dashboard.probes.length, text.documents);
  const answers = new AnswerBook(scores);

  const chosen = firings.map((ofFeature, index) => chooseFirings(first + index, ofFeature, text, dashboard));
  const wanted = firings.map((ofFeature, index) => ablatedFirings(chosen[index]!, ofFeature, text, dashboard));
  const decoder = tf.tidy(() => tf.slice2d(sae.W_dec, [first, 0], [count, d]));
  // The effects take about as long as the pages.
  const report = (share: number) => context.report({ done: Math.floor(share * count), total: count, unit: 'features', metrics: {} });
  const effects = await ablationEffects({ model, hook, decoder, tokens, contextLength, losses, batchWindows: dashboard.batchWindows }, firings, wanted, {
    shouldStop: () => context.shouldStop(),
    onProgress: (share) => report(share / 2),
  });
  const decoderRows = decoder.dataSync() as Float32Array;
  const correlatedFeatures = coFirings.correlated(first, firings, dashboard.relatedShown);

  const files: FileEntry[] = [];
  // while a chunk is written and synced, the next one is made
  let writing: Promise<unknown> = Promise.resolve();
  const put = async (path: string, value: unknown, size: number) => files.push({ path, ...(await store.put(artifactPath(id, path), Buffer.from(JSON.stringify(value)))), rows: size });
  const index = emptyColumns();
  for (let start = 0; start < count; start += featuresPerChunk) {
    const size = Math.min(featuresPerChunk, count - start);
    // what tidy returns it looks through, number by number: tensors, then, and not their values
    const weights = tf.tidy(() => {
      const directions = tf.slice2d(decoder, [start, 0], [size, d]);
      return { logits: tf.slice2d(logitWeights(model, hook, directions), [0, 0], [size, vocabSize]), cosines: matMul(directions, sae.W_dec, false, true) };
    });
    const [logits, cosines] = [weights.logits.dataSync() as Float32Array, weights.cosines.dataSync() as Float32Array];
    tf.dispose(weights);
    const pages = Array.from({ length: size }, (_, row): FeaturePage => {
      const inBlock = start + row;
      const feature = first + inBlock;
      const ofFeature = firings[inBlock]!;
      return {
        ...featurePageOf(feature, ofFeature, chosen[inBlock]!, effects[inBlock]!, text, dashboard),
        logits: logitsOf(logits.subarray(row * vocabSize, (row + 1) * vocabSize), dashboard),
        nearest: nearestOf(feature, cosines.subarray(row * features, (row + 1) * features)),
        neurons: alignedNeurons(decoderRows.subarray(inBlock * d, (inBlock + 1) * d), dashboard.relatedShown),
        correlatedNeurons: correlatedNeurons(ofFeature, products.subarray(inBlock * d, (inBlock + 1) * d), components, dashboard.relatedShown),
        correlatedFeatures: correlatedFeatures[inBlock]!,
      };
    });
    pages.forEach((page, row) => addToIndex(index, page, answers.add(page.feature, scores.answersOf(firings[start + row]!))));
    await writing;
    writing = put(chunkPath(Math.floor((first + start) / featuresPerChunk)), pages, size);
    writing.catch(() => undefined); // it is awaited, but only after the next chunk
    report((1 + (start + size) / count) / 2);
    await breathe();
    if (context.shouldStop()) throw new StoppedError();
  }
  await writing;
  tf.dispose([model.parameters, { ...sae }, mean, decoder]);
  await put(indexPath(block), index, count);
  await put(probesPath(block), answers.best(), dashboard.probes.length);
  return { shard: blockReceipt(shards, block), files, metrics: { features: count }, seconds: (performance.now() - started) / 1000, device: context.device };
}

/** What all shards know of their tokens, one after another, and their sums. Tokens of a shard that was left out satisfy no probe. */
async function readShards(id: ArtifactId, shards: number, tokensPerShard: number, tokens: number, { probes }: DashboardConfig, { store }: JobContext) {
  const words = Math.ceil(probes.length / bitsPerWord);
  const losses = new Float32Array(tokens);
  const bits = new Uint32Array(tokens * words);
  const components: ComponentSums = { tokens: 0, sum: new Float64Array(), squares: new Float64Array() };
  for (const { shard, tensors } of await readSums(store, id, shards)) {
    losses.set(tensors['losses']!.data as Float32Array, shard * tokensPerShard);
    bits.set(tensors['probes']!.data as Uint32Array, shard * tokensPerShard * words);
    components.tokens += tensors['losses']!.data.length;
    components.sum = added(components.sum, tensors['sum']!.data as Float64Array);
    components.squares = added(components.squares, tensors['squares']!.data as Float64Array);
  }
  return { losses, bits, words, components };
}

function added(sum: Float64Array, more: Float64Array): Float64Array {
  return more.map((value, index) => value + (sum[index] ?? 0));
}

function logitsOf(weights: Float32Array, { logitsShown, histogramBins }: DashboardConfig): FeaturePage['logits'] {
  const sorted = Float32Array.from(weights).sort();
  const middle = sorted.length / 2;
  const median = sorted.length % 2 === 1 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  // Nobody needs the order of those between: ties with the last one shown are sorted, and cut off.
  const [least, most] = [sorted[Math.min(sorted.length, logitsShown) - 1]!, sorted[Math.max(0, sorted.length - logitsShown)]!];
  const downwards = (a: number, b: number) => weights[b]! - weights[a]! || a - b;
  const tokensWhere = (isAtEnd: (weight: number) => boolean) => {
    const tokens: number[] = [];
    weights.forEach((weight, token) => isAtEnd(weight) && tokens.push(token));
    return tokens.sort(downwards);
  };
  const shown = (tokens: number[]) => tokens.map((token) => ({ token, value: rounded(weights[token]! - median) }));
  const low = sorted[0]! - median;
  const high = sorted.at(-1)! - median;
  const counts = histogramOf(weights.map((weight) => weight - median), low, high, histogramBins);
  return { top: shown(tokensWhere((weight) => weight >= most).slice(0, logitsShown)), bottom: shown(tokensWhere((weight) => weight <= least).slice(-logitsShown).reverse()), histogram: { low: rounded(low), high: rounded(high), counts } };
}

const nearestShown = 5;

function nearestOf(feature: number, cosines: Float32Array): FeaturePage['nearest'] {
  const best: { feature: number; cosine: number }[] = [];
  cosines.forEach((cosine, other) => {
    if (other !== feature) keepBestFew(best, { feature: other, cosine }, nearestShown, (a, b) => a.cosine > b.cosine);
  });
  return best.map(({ feature: other, cosine }) => ({ feature: other, cosine: rounded(cosine) }));
}
