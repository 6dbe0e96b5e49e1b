// What the SAE makes of a shard's activations: every activation that is not zero, and sums that merge exactly.
import * as tf from '@tensorflow/tfjs-core';
import { addOnGrid, gridFor, onGrid } from '../data/exactSums.ts';
import type { SparseActivations } from '../data/firings.ts';
import { matMul } from '../model/kernels.ts';
import { decode, encode, type SaeParameters } from '../model/sae.ts';

/** Dense activations alive at once, numbers. */
const denseSize = 2 ** 26;
/** How much larger a batch's sum over tokens and components may be than one number, about. */
const batchScale = 2 ** 10;

/** What the SAE makes of a shard's activations, added up batch by batch. */
export class ShardSums {
  readonly sparse = new SparseRows();
  /** Σ x and Σ x² of each component, [d]. */
  readonly sum: Float64Array<ArrayBuffer>;
  readonly squares: Float64Array<ArrayBuffer>;
  /** Σ f · x, [features · d]. */
  readonly products: Float64Array<ArrayBuffer>;
  private readonly sae: SaeParameters;
  /** Grid of what is in units of the hooked activation; of its squares. */
  private readonly grid: number;
  private readonly squareGrid: number;

  constructor(sae: SaeParameters, mean: tf.Tensor1D) {
    const [d, features] = sae.W_enc.shape;
    this.sae = sae;
    this.sum = new Float64Array(d);
    this.squares = new Float64Array(d);
    this.products = new Float64Array(features * d);
    // every shard knows the mean, so all use one grid
    const size = (mean.dataSync() as Float32Array).reduce((a, b) => Math.max(a, Math.abs(b)), 0) || 1;
    this.grid = gridFor(size);
    this.squareGrid = gridFor(size * size);
  }

  /** Adds activations x [n, d]; the first row is token `firstToken` of the shard. Call inside tf.tidy. */
  read(x: tf.Tensor2D, firstToken: number): { reconstruction: tf.Tensor2D; l0: number; l1: number; squaredError: number; squares: number } {
    const [n, d] = x.shape;
    const features = this.sae.b_enc.size;
    const rows = Math.min(n, Math.max(1, Math.floor(denseSize / features)));
    let [l0, l1] = [0, 0];
    const parts: tf.Tensor2D[] = [];
    for (let start = 0; start < n; start += rows) {
      const part = tf.slice2d(x, [start, 0], [Math.min(rows, n - start), d]);
      const [decoded] = tf.tidy(() => {
        const f = encode(this.sae, part);
        const values = f.dataSync() as Float32Array;
        const fired = this.sparse.append(values, features, firstToken + start);
        l0 += fired.count;
        l1 += fired.sum;
        addOnGrid(this.products, matMul(f, part, true, false).dataSync(), this.squareGrid);
        return [decode(this.sae, f)];
      }) as [tf.Tensor2D];
      parts.push(decoded);
    }
    const reconstruction = tf.concat2d(parts, 0);
    const [squaredError, squares] = tf.tidy(() => {
      const all = tf.square(x);
      addOnGrid(this.sum, tf.sum(x, 0).dataSync(), this.grid);
      addOnGrid(this.squares, tf.sum(all, 0).dataSync(), this.squareGrid);
      return [tf.sum(tf.square(tf.sub(reconstruction, x)), 1).dataSync(), tf.sum(all, 1).dataSync()] as const;
    });
    return { reconstruction, l0, l1: onGrid(l1, this.grid * batchScale), squaredError: onGrid(sumOf(squaredError), this.squareGrid * batchScale), squares: onGrid(sumOf(squares), this.squareGrid * batchScale) };
  }
}

export function sumOf(values: ArrayLike<number>): number {
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

  /** Adds dense activations [rows, features]; the first row is token `firstToken`. Returns how many were not zero, and their sum. */
  append(dense: Float32Array, features: number, firstToken: number): { count: number; sum: number } {
    const before = this.size;
    let sum = 0;
    for (let row = 0; row * features < dense.length; row++) {
      for (let feature = 0; feature < features; feature++) {
        const value = dense[row * features + feature]!;
        if (value === 0) continue;
        if (this.size === this.value.length) this.grow();
        this.token[this.size] = firstToken + row;
        this.feature[this.size] = feature;
        this.value[this.size] = value;
        this.size++;
        sum += value;
      }
    }
    return { count: this.size - before, sum };
  }

  all(): SparseActivations {
    return { token: this.token.subarray(0, this.size), feature: this.feature.subarray(0, this.size), value: this.value.subarray(0, this.size) };
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
