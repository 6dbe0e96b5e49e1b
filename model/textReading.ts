// One text through transformer and SAE: which features fire on each token, and what the model expects next, as it is or
// with one feature scaled. The same code for the example texts of exportDashboard and for what a reader types in the
// page, where a GPU may be behind it that answers asynchronously: nothing here waits for a tensor's data synchronously.
import * as tf from '@tensorflow/tfjs-core';
import { matMul } from './kernels.ts';
import { encode, type SaeParameters } from './sae.ts';
import type { Tap, Transformer } from './transformer.ts';

/** For each token the features that fired on it, strongest first. */
export interface TokenFeatures {
  features: number[][];
  values: number[][];
}

/** A feature's activations times `factor`: 0 ablates it, 1 leaves it. */
export interface FeatureChange {
  feature: number;
  factor: number;
}

/** Dense activations alive at once: 16 MB at float32. */
const denseAtOnce = 2 ** 22;

/** Reads one text after another. Holds the tensors of the last one until `dispose`; model and SAE stay the caller's. */
export class TextReader {
  readonly model: Transformer;
  readonly sae: SaeParameters;
  readonly hook: string;
  private tokens: tf.Tensor1D | undefined;
  /** The final residual stream of the text as it is, [n, dModel]. */
  private final: tf.Tensor2D | undefined;

  constructor(model: Transformer, sae: SaeParameters, hook: string) {
    this.model = model;
    this.sae = sae;
    this.hook = hook;
  }

  /** All activations on a text of at most contextLength tokens. Later calls of `nextToken` are about this text. */
  async read(tokens: Int32Array): Promise<TokenFeatures> {
    this.dispose();
    const text = tf.tensor1d(tokens, 'int32');
    this.tokens = text;
    const { final, hooked } = tf.tidy(() => {
      let hooked: tf.Tensor2D | undefined;
      const final = this.model.forward(text, 1, (name, activation) => {
        if (name === this.hook) hooked = activation;
        return activation;
      });
      if (hooked === undefined) throw new RangeError(`${this.hook} is not a hook point`);
      return { final, hooked };
    });
    this.final = final;
    try {
      return await this.activeFeatures(hooked);
    } finally {
      hooked.dispose();
    }
  }

  /**
   * Probabilities of the token after `position` (0-based), over the padded vocabulary; with `change` those of the model
   * whose hooked activation x became x + (factor − 1) · f · d at every token, f being the feature's activation there and
   * d its decoder row (SPEC §6's ablation where the factor is 0).
   */
  async nextToken(position: number, change?: FeatureChange): Promise<Float32Array> {
    const { tokens, final } = this;
    if (tokens === undefined || final === undefined) throw new RangeError('no text was read');
    const probabilities = tf.tidy(() => {
      const stream = change === undefined ? final : this.model.forward(tokens, 1, this.changing(change));
      return tf.softmax(this.model.logits(tf.slice2d(stream, [position, 0], [1, -1])));
    });
    const values = (await probabilities.data()) as Float32Array;
    probabilities.dispose();
    return values;
  }

  /** Frees the text last read. */
  dispose(): void {
    this.tokens?.dispose();
    this.final?.dispose();
    this.tokens = undefined;
    this.final = undefined;
  }

  private changing({ feature, factor }: FeatureChange): Tap {
    const { W_enc, b_enc, W_dec, b_dec } = this.sae;
    const [d] = W_enc.shape;
    const own: SaeParameters = { W_enc: tf.slice2d(W_enc, [0, feature], [d, 1]), b_enc: tf.slice1d(b_enc, feature, 1), W_dec: tf.slice2d(W_dec, [feature, 0], [1, d]), b_dec };
    return (name, activation) => {
      if (name !== this.hook) return activation;
      return tf.add(activation, matMul(tf.mul<tf.Tensor2D>(encode(own, activation), factor - 1), own.W_dec));
    };
  }

  /** hooked [n, d] */
  private async activeFeatures(hooked: tf.Tensor2D): Promise<TokenFeatures> {
    const [n] = hooked.shape;
    const width = this.sae.b_enc.size;
    const rowsAtOnce = Math.max(1, Math.floor(denseAtOnce / width));
    const found: TokenFeatures = { features: [], values: [] };
    for (let start = 0; start < n; start += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, n - start);
      const dense = tf.tidy(() => encode(this.sae, tf.slice2d(hooked, [start, 0], [rows, -1])));
      const values = (await dense.data()) as Float32Array;
      dense.dispose();
      for (let row = 0; row < rows; row++) {
        const active = activeOf(values.subarray(row * width, (row + 1) * width));
        found.features.push(active.map(([feature]) => feature));
        found.values.push(active.map(([, value]) => value));
      }
    }
    return found;
  }
}

/** Feature and activation, strongest first, equal ones by number. */
function activeOf(row: Float32Array): [feature: number, value: number][] {
  const active: [number, number][] = [];
  row.forEach((value, feature) => {
    if (value > 0) active.push([feature, value]);
  });
  return active.sort(([a, x], [b, y]) => y - x || a - b);
}
