// One pass over a shard of held-out windows for everything the dashboard shows: sums for the four losses and the SAE's
// metrics, and every activation that is not zero. Sums and lists merge exactly, however the tokens were sharded.
import * as tf from '@tensorflow/tfjs-core';
import { artifactPath } from '../data/artifact.ts';
import { encodeSafetensors } from '../data/safetensors.ts';
import { decode, encode } from '../model/sae.ts';
import type { Tap } from '../model/transformer.ts';
import type { Receipt } from '../schemas/artifact.ts';
import type { ArtifactId } from '../schemas/stages.ts';
import { heldOutWindows } from '../data/heldOut.ts';
import { specOf } from '../data/inputs.ts';
import { openModel, openSae, openTokens } from './artifacts.ts';
import { breathe, StoppedError, type JobContext } from './context.ts';
import { sequences } from './transformerBatches.ts';

/** Where the activations of a shard of windows are kept until the blocks of features are written. */
export function activationsPath(shard: number): string {
  return `work/activations/${String(shard).padStart(5, '0')}.safetensors`;
}

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

  const sparse = new SparseRows();
  const d = mean.size;
  const sum = new Float64Array(d);
  const totals = { tokens: 0, clean: 0, reconstructed: 0, zero: 0, mean: 0, l0: 0, l1: 0, squaredError: 0, squares: 0 };
  for (let start = 0; start < count; start += dashboard.batchWindows) {
    const rows = Array.from({ length: Math.min(dashboard.batchWindows, count - start) }, (_, row) => (first + start + row) * length);
    const batch = await sequences(tokens, rows, length);
    tf.tidy(() => {
      const text = tf.tensor1d(batch.tokens, 'int32');
      const targets = tf.tensor1d(batch.targets, 'int32');
      let reconstruction: tf.Tensor2D | undefined;
      const loss = (replace: (x: tf.Tensor2D) => tf.Tensor2D) => {
        const tap: Tap = (name, activation) => (name === hook ? replace(activation) : activation);
        return sumOf(tf.tidy(() => model.tokenLosses(text, targets, batch.batch, tap)).dataSync());
      };
      totals.clean += loss((x) => {
        const f = encode(sae, x);
        reconstruction = tf.keep(decode(sae, f));
        const error = tf.sub<tf.Tensor2D>(reconstruction, x);
        const values = f.dataSync() as Float32Array;
        totals.l0 += sparse.append(values, f.shape[1], start * length);
        totals.l1 += sumOf(values);
        totals.squaredError += sumOf(tf.sum(tf.square(error), 1).dataSync());
        totals.squares += sumOf(tf.sum(tf.square(x), 1).dataSync());
        tf.sum(x, 0).dataSync().forEach((value, column) => (sum[column]! += value));
        return x;
      });
      totals.reconstructed += loss(() => reconstruction!);
      reconstruction!.dispose();
      totals.zero += loss((x) => tf.zerosLike(x));
      totals.mean += loss((x) => tf.add<tf.Tensor2D>(tf.zerosLike(x), mean));
      totals.tokens += text.size;
    });
    context.report({ done: start + batch.batch, total: count, unit: 'windows', metrics: { l0: totals.l0 / totals.tokens, loss: totals.clean / totals.tokens, reconstructed: totals.reconstructed / totals.tokens } });
    await breathe();
    if (context.shouldStop()) throw new StoppedError();
  }
  tf.dispose([model.parameters, { ...sae }, mean]);
  const path = activationsPath(shard);
  const stored = await store.put(artifactPath(id, path), encodeSafetensors({ ...sparse.tensors(), sum: { shape: [d], data: Float32Array.from(sum) } }));
  return { shard, files: [{ path, ...stored, rows: totals.l0 }], metrics: totals, seconds: (performance.now() - started) / 1000, device: context.device };
}

function sumOf(values: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += values[index]!;
  return total;
}

/** Non-zero activations in reading order: token in the shard, feature, value. */
class SparseRows {
  private size = 0;
  private token = new Int32Array(1 << 16);
  private feature = new Int32Array(1 << 16);
  private value = new Float32Array(1 << 16);

  /** Adds dense activations [rows, features]; the first row is token `firstToken`. Returns how many were not zero. */
  append(dense: Float32Array, features: number, firstToken: number): number {
    const before = this.size;
    for (let index = 0; index < dense.length; index++) {
      if (dense[index] === 0) continue;
      if (this.size === this.value.length) this.grow();
      this.token[this.size] = firstToken + Math.floor(index / features);
      this.feature[this.size] = index % features;
      this.value[this.size] = dense[index]!;
      this.size++;
    }
    return this.size - before;
  }

  tensors() {
    const shape = [this.size];
    return {
      token: { shape, data: this.token.subarray(0, this.size) },
      feature: { shape, data: this.feature.subarray(0, this.size) },
      value: { shape, data: this.value.subarray(0, this.size) },
    };
  }

  private grow(): void {
    const larger = <A extends Int32Array | Float32Array>(array: A, copy: A): A => {
      copy.set(array);
      return copy;
    };
    this.token = larger(this.token, new Int32Array(2 * this.size));
    this.feature = larger(this.feature, new Int32Array(2 * this.size));
    this.value = larger(this.value, new Float32Array(2 * this.size));
  }
}
