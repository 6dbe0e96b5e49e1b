// Ablation effects (SPEC §6): x ← x − f · d at one position, the forward pass finished, Δ log p of the next token. Only
// what the ablation reaches is run again. Behind the last attention that is a shift of the residual stream, known in closed
// form, and the last LayerNorm and unembedding. Elsewhere it is the stream at the position itself: the keys and values of
// earlier positions stay as they were, and later positions do not predict this next token.
import * as tf from '@tensorflow/tfjs-core';
import { hookPlace } from '../schemas/hooks.ts';
import { linear } from './layers.ts';
import { toResidual } from './logitWeights.ts';
import type { Transformer } from './transformer.ts';
import { tokenLosses } from './unembedding.ts';

/** What is ablated, one (position, feature) pair after another, ascending by row. */
export interface AblatedPairs {
  /** Window · T + position. */
  row: Int32Array;
  /** Row of the decoder. */
  feature: Int32Array;
  /** The feature's activation there, f. */
  value: Float32Array;
}

/** Pairs whose stream is alive at once. */
const chunkPairs = 4_096;
const masked = -1e9;

/** The features of a decoder, ablated at one hook of a model. Owns a tensor: dispose it. */
export class Ablation {
  private readonly model: Transformer;
  private readonly hook: string;
  private readonly layer: number;
  private readonly closedForm: boolean;
  /** Decoder rows, or where there is a closed form what they add to the residual stream. */
  private readonly directions: tf.Tensor2D;

  constructor(model: Transformer, hook: string, decoder: tf.Tensor2D) {
    this.model = model;
    this.hook = hook;
    const { layer, point } = hookPlace(hook);
    this.layer = layer;
    const last = this.layer === model.architecture.nLayer - 1;
    this.closedForm = last && ['mlp.hook_post', 'hook_mlp_out', 'hook_resid_post'].includes(point);
    this.directions = this.closedForm ? tf.tidy(() => tf.clone(toResidual(model, hook, decoder))) : tf.clone(decoder);
  }

  /**
   * Nats by which each pair's feature raised the log-probability of the token that came next; negative: lowered.
   *
   * @param tokens int32 [batch · T]
   * @param targets their next tokens, int32 [batch · T]
   * @param clean cross-entropy of every position as it is, nats, [batch · T]
   */
  effects(tokens: tf.Tensor1D, targets: tf.Tensor1D, batch: number, clean: ArrayLike<number>, pairs: AblatedPairs): Float32Array {
    const effects = new Float32Array(pairs.row.length);
    tf.tidy(() => {
      const streams = this.cleanStreams(tokens, batch);
      for (let start = 0; start < effects.length; start += chunkPairs) {
        const end = Math.min(effects.length, start + chunkPairs);
        const chunk = { row: pairs.row.subarray(start, end), feature: pairs.feature.subarray(start, end), value: pairs.value.subarray(start, end) };
        const losses = tf.tidy(() => {
          const row = tf.tensor1d(chunk.row, 'int32');
          const final = this.model.norm('transformer.ln_f', this.lastStream(streams, chunk, row, batch)).y;
          return tokenLosses(final, this.model.tensor2d('transformer.wte.weight'), tf.gather(targets, row)).dataSync();
        });
        chunk.row.forEach((row, index) => (effects[start + index] = losses[index]! - clean[row]!));
      }
    });
    return effects;
  }

  dispose(): void {
    this.directions.dispose();
  }

  /** hook → activation [batch · T, width] as they are: those from which the stream is taken up again. */
  private cleanStreams(tokens: tf.Tensor1D, batch: number): Map<string, tf.Tensor2D> {
    const { nLayer } = this.model.architecture;
    const wanted = this.closedForm ? [`blocks.${this.layer}.hook_resid_post`] : [`blocks.${this.layer}.attn.hook_z`, ...Array.from({ length: nLayer - this.layer }, (_, above) => `blocks.${this.layer + above}.hook_resid_pre`)];
    const streams = new Map<string, tf.Tensor2D>();
    const kept = tf.tidy(() => {
      this.model.forward(tokens, batch, (name, activation) => {
        if (wanted.includes(name)) streams.set(name, activation);
        return activation;
      });
      return [...streams.values()];
    });
    [...streams.keys()].forEach((name, index) => streams.set(name, kept[index]!));
    return streams;
  }

  /** The residual stream behind the last block with each pair's ablation, [pairs, dModel]. */
  private lastStream(streams: Map<string, tf.Tensor2D>, pairs: AblatedPairs, row: tf.Tensor1D, batch: number): tf.Tensor2D {
    const { layer, hook } = this;
    const at = (name: string) => tf.gather(streams.get(name)!, row);
    const shift = tf.mul<tf.Tensor2D>(tf.gather(this.directions, tf.tensor1d(pairs.feature, 'int32')), tf.tensor2d(pairs.value, [pairs.value.length, 1]));
    const ablated = (x: tf.Tensor2D) => tf.sub<tf.Tensor2D>(x, shift);
    if (this.closedForm) return ablated(at(`blocks.${layer}.hook_resid_post`));
    let x = at(`blocks.${layer}.hook_resid_pre`);
    if (hook.endsWith('hook_resid_pre')) x = this.blockAt(layer, ablated(x), streams, pairs.row, batch);
    else {
      const z = at(`blocks.${layer}.attn.hook_z`);
      x = this.afterAttention(layer, x, hook.endsWith('attn.hook_z') ? ablated(z) : z, ablated);
    }
    for (let above = layer + 1; above < this.model.architecture.nLayer; above++) x = this.blockAt(above, x, streams, pairs.row, batch);
    return x;
  }

  /** From attn.hook_z of a block to its end, with the ablation where the hook is in between. */
  private afterAttention(layer: number, resid: tf.Tensor2D, z: tf.Tensor2D, ablated: (x: tf.Tensor2D) => tf.Tensor2D): tf.Tensor2D {
    const points = this.model.afterAttention(resid, z, layer);
    let next = points.next();
    while (!next.done) {
      const [name, compute] = next.value;
      const activation = compute();
      next = points.next(name === this.hook ? ablated(activation) : activation);
    }
    return next.value.x;
  }

  /** A whole block at the pairs' positions: they see the clean keys and values before them, and their own. */
  private blockAt(layer: number, resid: tf.Tensor2D, streams: Map<string, tf.Tensor2D>, rows: Int32Array, batch: number): tf.Tensor2D {
    const { model } = this;
    const { dModel, nHead } = model.architecture;
    const clean = streams.get(`blocks.${layer}.hook_resid_pre`)!;
    const length = clean.shape[0] / batch;
    const block = `transformer.h.${layer}`;
    const project = (x: tf.Tensor2D) => linear(model.norm(`${block}.ln_1`, x).y, model.tensor2d(`${block}.attn.c_attn.weight`), model.bias(`${block}.attn.c_attn`));
    const own = model.splitHeads(project(resid), 1, rows.length, 3);
    const parts: tf.Tensor2D[] = [];
    for (let start = 0, end = 0; start < rows.length; start = end) {
      const window = Math.floor(rows[start]! / length);
      end = rows.findIndex((row, index) => index > start && Math.floor(row / length) !== window);
      if (end < 0) end = rows.length;
      const positions = rows.slice(start, end).map((row) => row - window * length);
      parts.push(
        tf.tidy(() => {
          const size = end - start;
          const [q, ownK, ownV] = own.map((part) => tf.slice3d(part, [0, start, 0], [nHead, size, -1])) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
          const [, k, v] = model.splitHeads(project(tf.slice2d(clean, [window * length, 0], [length, dModel])), 1, length, 3) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
          const scaled = tf.mul<tf.Tensor3D>(q, 1 / Math.sqrt(dModel / nHead));
          const scores = tf.concat([tf.add<tf.Tensor3D>(tf.matMul(scaled, k, false, true), before(positions, length)), tf.sum<tf.Tensor3D>(tf.mul(scaled, ownK), 2, true)], 2);
          const weights = tf.softmax(scores);
          const z = tf.add<tf.Tensor3D>(tf.matMul(tf.slice3d(weights, [0, 0, 0], [nHead, size, length]), v), tf.mul(tf.slice3d(weights, [0, 0, length], [nHead, size, 1]), ownV));
          return model.joinHeads(z, 1);
        }),
      );
    }
    return this.afterAttention(layer, resid, tf.concat2d(parts, 0), (x) => x);
  }
}

/** Additive mask [1, positions, T]: 0 for keys before each position, −1e9 from it on. */
function before(positions: Int32Array, length: number): tf.Tensor3D {
  const values = new Float32Array(positions.length * length);
  positions.forEach((position, index) => values.fill(masked, index * length + position, (index + 1) * length));
  return tf.tensor3d(values, [1, positions.length, length]);
}
