// One pass over a shard of held-out windows for everything the dashboard shows: sums for the four losses, the SAE's
// metrics and correlations, every activation that is not zero, and which tokens satisfy which probe. Sums and lists merge
// exactly, however the tokens were sharded in whole batches.
import * as tf from '@tensorflow/tfjs-core';
import { artifactPath } from '../data/artifact.ts';
import { onGrid } from '../data/exactSums.ts';
import { isCorrelated, sumsPath, writeFirings, writeRows } from '../data/firings.ts';
import { heldOutWindows } from '../data/heldOut.ts';
import { specOf } from '../data/inputs.ts';
import { ProbeMarks } from '../data/probeMarks.ts';
import { encodeSafetensors } from '../data/safetensors.ts';
import { openTokenizer } from '../data/tokenizerFile.ts';
import { documentIndexAt, type TokenStream } from '../data/tokenStream.ts';
import type { Receipt } from '../schemas/artifact.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { openModel, openSae, openTokens } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';
import { ShardSums, sumOf } from './shardSums.ts';
import { sequences } from './transformerBatches.ts';

/** Nats of a batch: sums are exact up to 10^10 nats. */
const lossGrid = 2 ** -20;

/** Reads windows [shard · windowsPerShard, …) of the held-out tokens through model and SAE. */
export async function readFeaturesShard(id: ArtifactId, shard: number, context: JobContext): Promise<Receipt> {
  const started = performance.now();
  const { store } = context;
  const { config, inputs } = await specOf(store, id, 'exportDashboard');
  const { dashboard } = config;
  const { tokens } = await openTokens(store, inputs.tokenize, 'heldOut');
  const { model, architecture } = await openModel(store, inputs.trainTransformer);
  const { sae, mean } = await openSae(store, inputs.trainSae);
  const { hook } = (await specOf(store, { stage: 'sampleActivations', key: inputs.sampleActivations }, 'sampleActivations')).config;
  const length = architecture.contextLength;
  const windows = heldOutWindows(tokens.length, length, dashboard.tokens);
  const first = shard * dashboard.windowsPerShard;
  const count = Math.min(dashboard.windowsPerShard, windows - first);

  const sums = new ShardSums(sae, mean);
  const totals = { tokens: 0, clean: 0, reconstructed: 0, zero: 0, mean: 0, l0: 0, l1: 0, squaredError: 0, squares: 0 };
  const losses = new Float32Array(count * length);
  for (let start = 0; start < count; start += dashboard.batchWindows) {
    const rows = Array.from({ length: Math.min(dashboard.batchWindows, count - start) }, (_, row) => (first + start + row) * length);
    const batch = await sequences(tokens, rows, length);
    tf.tidy(() => {
      const text = tf.tensor1d(batch.tokens, 'int32');
      const targets = tf.tensor1d(batch.targets, 'int32');
      const { activation, final, resume } = model.resumable(text, batch.batch, hook);
      const read = sums.read(activation, start * length);
      totals.l0 += read.l0;
      totals.l1 += read.l1;
      totals.squaredError += read.squaredError;
      totals.squares += read.squares;
      const lossesWith = (x: tf.Tensor2D) => tf.tidy(() => model.lossesOf(resume(x), targets).dataSync());
      const clean = tf.tidy(() => model.lossesOf(final, targets).dataSync());
      losses.set(clean, start * length);
      totals.clean += lossOf(clean);
      totals.reconstructed += lossOf(lossesWith(read.reconstruction));
      const zeros = tf.zerosLike(activation);
      totals.zero += lossOf(lossesWith(zeros));
      totals.mean += lossOf(lossesWith(tf.add(zeros, mean)));
      totals.tokens += text.size;
    });
    context.report({ done: start + batch.batch, total: count, unit: 'windows', metrics: { l0: totals.l0 / totals.tokens, loss: totals.clean / totals.tokens, reconstructed: totals.reconstructed / totals.tokens } });
    await breathe();
    if (context.shouldStop()) throw new StoppedError();
  }
  const features = sae.b_enc.size;
  tf.dispose([model.parameters, { ...sae }, mean]);

  const tokenizeId: ArtifactId = { stage: 'tokenize', key: inputs.tokenize };
  const marks = dashboard.probes.length === 0 ? undefined : new ProbeMarks(dashboard.probes, await openTokenizer(store, tokenizeId, (await specOf(store, tokenizeId, 'tokenize')).config.tokenize));
  const probes = marks === undefined ? new Uint32Array() : await marksOf(marks, tokens, first * length, count * length);
  const path = sumsPath(shard);
  const d = sums.sum.length;
  const ofTokens = { losses: { shape: [losses.length], data: losses }, probes: { shape: [probes.length], data: probes } };
  const stored = await store.put(artifactPath(id, path), encodeSafetensors({ sum: { shape: [d], data: sums.sum }, squares: { shape: [d], data: sums.squares }, ...ofTokens }));
  const fired = sums.sparse.all();
  const inRows = (window: number) => isCorrelated(first + window, windows, length, dashboard.correlationTokens);
  const files = [
    { path, ...stored, rows: totals.l0 },
    await writeRows(store, id, shard, fired, length, inRows),
    ...(await writeFirings(store, id, shard, fired, sums.products, features, dashboard.featuresPerBlock)),
  ];
  return { shard, files, metrics: totals, seconds: (performance.now() - started) / 1000, device: context.device };
}

function lossOf(losses: ArrayLike<number>): number {
  return onGrid(sumOf(losses), lossGrid);
}

/** Bits of tokens [start, start + length), from the whole documents they are of. */
async function marksOf(marks: ProbeMarks, tokens: TokenStream, start: number, length: number): Promise<Uint32Array<ArrayBuffer>> {
  const { words } = marks;
  const documents = await tokens.documents('heldOut');
  const bits = new Uint32Array(length * words);
  for (let index = documentIndexAt(documents, start); index < documents.length && documents[index]!.start < start + length; index++) {
    const document = documents[index]!;
    const ofDocument = marks.mark(await tokens.read(document.start, document.length), document.lang);
    const from = Math.max(start, document.start);
    const to = Math.min(start + length, document.start + document.length);
    bits.set(ofDocument.subarray((from - document.start) * words, (to - document.start) * words), (from - start) * words);
  }
  return bits;
}
