// nanoGPT's GPT with TransformerLens hook points, in one file: parameters, forward pass, loss, gradients, and the
// activations of one hook at a few positions. Parameters keep nanoGPT's names and layout, so a checkpoint is one of its.
import * as tf from '@tensorflow/tfjs-core';
import type { ArchitectureConfig } from '../schemas/config.ts';
import { hookPlace } from '../schemas/hooks.ts';
import { RandomStream } from '../schemas/random.ts';
import { attentionAtPositions, causalAttention, causalAttentionBackward, type AttentionCache } from './attention.ts';
import { matMul } from './kernels.ts';
import { activate, activationSlope, layerNorm, layerNormBackward, linear, type LayerNormCache } from './layers.ts';
import { tokenLosses, unembeddingBackward } from './unembedding.ts';

/** Named tensors: parameters, gradients, or optimizer moments. */
export type Tensors = Record<string, tf.Tensor>;

/** Name and shape of every parameter. `vocabRows` is the padded vocabulary. */
export function parameterShapes(architecture: ArchitectureConfig, vocabRows: number): Record<string, number[]> {
  const { nLayer, dModel, dMlp, contextLength, bias } = architecture;
  const shapes: Record<string, number[]> = { 'transformer.wte.weight': [vocabRows, dModel], 'transformer.wpe.weight': [contextLength, dModel] };
  const add = (name: string, shape: number[]) => {
    shapes[`${name}.weight`] = shape;
    if (bias) shapes[`${name}.bias`] = [shape[0]!];
  };
  for (let layer = 0; layer < nLayer; layer++) {
    const block = `transformer.h.${layer}`;
    add(`${block}.ln_1`, [dModel]);
    add(`${block}.attn.c_attn`, [3 * dModel, dModel]);
    add(`${block}.attn.c_proj`, [dModel, dModel]);
    add(`${block}.ln_2`, [dModel]);
    add(`${block}.mlp.c_fc`, [dMlp, dModel]);
    add(`${block}.mlp.c_proj`, [dModel, dMlp]);
  }
  add('transformer.ln_f', [dModel]);
  return shapes;
}

/** Number of parameters as nanoGPT counts them: without position embeddings, the tied unembedding once. */
export function countParameters(architecture: ArchitectureConfig, vocabRows: number): number {
  return Object.entries(parameterShapes(architecture, vocabRows))
    .filter(([name]) => name !== 'transformer.wpe.weight')
    .reduce((total, [, shape]) => total + shape.reduce((a, b) => a * b, 1), 0);
}

/** Initial parameters (SPEC §2): N(0, 0.02), residual projections N(0, 0.02/√(2·nLayer)), gains 1, biases 0. Keyed by seed and name. */
export function initialParameters(architecture: ArchitectureConfig, vocabRows: number, seed: number): Record<string, { shape: number[]; data: Float32Array }> {
  const residualStd = 0.02 / Math.sqrt(2 * architecture.nLayer);
  return Object.fromEntries(
    Object.entries(parameterShapes(architecture, vocabRows)).map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      if (/ln_(1|2|f)\.weight$/.test(name)) data.fill(1);
      else if (!name.endsWith('.bias')) {
        const std = name.endsWith('c_proj.weight') ? residualStd : 0.02;
        const stream = new RandomStream(seed, 'trainTransformer', 'init', name);
        for (let index = 0; index < data.length; index++) data[index] = std * stream.normal();
      }
      return [name, { shape, data }];
    }),
  );
}

/** Looks at, or replaces, the activation of a hook point: [batch · T, width]. */
export type Tap = (hook: string, activation: tf.Tensor2D) => tf.Tensor2D;
const passThrough: Tap = (_hook, activation) => activation;

interface BlockCache {
  norm1: LayerNormCache;
  attentionInput: tf.Tensor2D;
  q: tf.Tensor3D;
  k: tf.Tensor3D;
  v: tf.Tensor3D;
  zHeads: tf.Tensor3D;
  z: tf.Tensor2D;
  attention: AttentionCache;
  norm2: LayerNormCache;
  mlpInput: tf.Tensor2D;
  mlpPre: tf.Tensor2D;
  mlpPost: tf.Tensor2D;
}

type AfterAttention = { x: tf.Tensor2D; cache: Pick<BlockCache, 'norm2' | 'mlpInput' | 'mlpPre' | 'mlpPost'> };

/** A transformer of given parameters. Holds no state of its own: `parameters` stay the caller's to dispose. */
export class Transformer {
  readonly architecture: ArchitectureConfig;
  readonly parameters: Tensors;
  private readonly headWidth: number;

  constructor(architecture: ArchitectureConfig, parameters: Tensors) {
    this.architecture = architecture;
    this.parameters = parameters;
    this.headWidth = architecture.dModel / architecture.nHead;
  }

  /**
   * Final residual stream after the last LayerNorm. tokens int32 [batch · T] → [batch · T, dModel].
   * `tap` sees every hook point in order and may replace it. Call inside tf.tidy.
   */
  forward(tokens: tf.Tensor1D, batch: number, tap: Tap = passThrough): tf.Tensor2D {
    let x = this.embed(tokens, batch);
    for (let layer = 0; layer < this.architecture.nLayer; layer++) x = this.block(x, layer, batch, tap).x;
    return this.finalNorm(x).y;
  }

  /**
   * A forward pass that can be taken up again at `hook`: `resume` gives the final residual stream with another activation
   * there, [batch · T, width], and computes nothing anew that lies before it. Call inside tf.tidy.
   *
   * @throws RangeError when the model has no such hook point
   */
  resumable(tokens: tf.Tensor1D, batch: number, hook: string): { activation: tf.Tensor2D; final: tf.Tensor2D; resume(activation: tf.Tensor2D): tf.Tensor2D } {
    const { layer } = hookPlace(hook);
    const wanted = new Set([hook, ...['hook_resid_pre', 'attn.hook_z', 'hook_resid_mid'].map((point) => `blocks.${layer}.${point}`)]);
    const { final, ...known } = tf.tidy(() => {
      const seen: Record<string, tf.Tensor2D> = {};
      const last = this.forward(tokens, batch, (name, x) => {
        if (wanted.has(name)) seen[name] = x;
        return x;
      });
      return { ...seen, final: last };
    }) as { final: tf.Tensor2D; [name: string]: tf.Tensor2D };
    const activation = known[hook];
    if (activation === undefined) throw new RangeError(`${hook} is not a hook point`);
    const resume = (replacement: tf.Tensor2D) =>
      tf.tidy(() => {
        let x = this.finishBlock(replacement, hook, layer, batch, known);
        for (let above = layer + 1; above < this.architecture.nLayer; above++) x = this.block(x, above, batch, passThrough).x;
        return this.finalNorm(x).y;
      });
    return { activation, final, resume };
  }

  /** Cross-entropy of every position, nats. tokens, targets int32 [batch · T] → float32 [batch · T]. Call inside tf.tidy. */
  tokenLosses(tokens: tf.Tensor1D, targets: tf.Tensor1D, batch: number, tap: Tap = passThrough): tf.Tensor1D {
    return this.lossesOf(this.forward(tokens, batch, tap), targets);
  }

  /** Cross-entropy of every row of a final residual stream, nats. final [n, dModel], targets int32 [n] → [n]. Call inside tf.tidy. */
  lossesOf(final: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
    return tokenLosses(final, this.tensor2d('transformer.wte.weight'), targets);
  }

  /** Logits over the padded vocabulary. final [n, dModel] → [n, vocabRows]. */
  logits(final: tf.Tensor2D): tf.Tensor2D {
    return matMul(final, this.tensor2d('transformer.wte.weight'), false, true);
  }

  /**
   * Mean cross-entropy and its gradient with respect to every parameter. tokens, targets int32 [batch · T].
   * The returned tensors are the caller's to dispose; `loss` is a scalar tensor, nats per token.
   */
  lossAndGradients(tokens: tf.Tensor1D, targets: tf.Tensor1D, batch: number): { loss: tf.Scalar; gradients: Tensors } {
    const { loss, ...gradients } = tf.tidy((): Tensors => {
      const caches: BlockCache[] = [];
      let x = this.embed(tokens, batch);
      for (let layer = 0; layer < this.architecture.nLayer; layer++) {
        const result = this.block(x, layer, batch, passThrough);
        caches.push(result.cache);
        x = result.x;
      }
      const final = this.finalNorm(x);
      const head = unembeddingBackward(final.y, this.tensor2d('transformer.wte.weight'), targets);
      const gradients: Tensors = {};
      let dx = this.normBackward('transformer.ln_f', head.dFinal, final.cache, gradients);
      for (let layer = this.architecture.nLayer - 1; layer >= 0; layer--) dx = this.blockBackward(dx, layer, batch, caches[layer]!, gradients);
      const { dModel, contextLength } = this.architecture;
      const length = tokens.size / batch;
      const dPositions = tf.sum<tf.Tensor2D>(tf.reshape(dx, [batch, length, dModel]), 0);
      gradients['transformer.wpe.weight'] = length === contextLength ? dPositions : tf.pad2d(dPositions, [[0, contextLength - length], [0, 0]]);
      const rows = tf.unsortedSegmentSum(tf.concat2d([dx, head.dTargetRows], 0), tf.concat1d([tokens, targets]), head.dEmbeddingTransposed.shape[1]);
      gradients['transformer.wte.weight'] = tf.add(tf.transpose(head.dEmbeddingTransposed), rows);
      return { loss: head.loss, ...gradients };
    });
    return { loss: loss as tf.Scalar, gradients };
  }

  /**
   * The activation of one hook point at kept positions only: in its own layer keys and values are computed everywhere,
   * queries, attention and MLP only where kept, and nothing after the hook (SPEC §3).
   * tokens int32 [batch · T]; positions [batch · P], row-major → [batch · P, width]. Call inside tf.tidy.
   */
  activationsAt(hook: string, tokens: tf.Tensor1D, batch: number, positions: Int32Array): tf.Tensor2D {
    const { layer, point } = hookPlace(hook);
    let x = this.embed(tokens, batch);
    for (let below = 0; below < layer; below++) x = this.block(x, below, batch, passThrough).x;
    const length = tokens.size / batch;
    const kept = positions.length / batch;
    const rows = tf.tensor1d(positions.map((position, index) => Math.floor(index / kept) * length + position), 'int32');
    const residual = tf.gather(x, rows);
    if (point === 'hook_resid_pre') return residual;

    const block = `transformer.h.${layer}`;
    const { y } = this.norm(`${block}.ln_1`, x);
    const { dModel } = this.architecture;
    const weight = this.tensor2d(`${block}.attn.c_attn.weight`);
    const bias = this.bias(`${block}.attn.c_attn`);
    const project = (input: tf.Tensor2D, start: number, size: number, per: number) =>
      this.splitHeads(linear(input, tf.slice2d(weight, [start, 0], [size, dModel]), bias && tf.slice1d(bias, start, size)), batch, per, size / dModel);
    const [k, v] = project(y, dModel, 2 * dModel, length);
    const [q] = project(tf.gather(y, rows), 0, dModel, kept);
    const zHeads = attentionAtPositions(tf.mul(q!, 1 / Math.sqrt(this.headWidth)), k!, v!, positions, batch);
    const z = this.joinHeads(zHeads, batch);
    if (point === 'attn.hook_z') return z;
    const points = this.afterAttention(residual, z, layer);
    for (let next = points.next(); !next.done; ) {
      const activation = next.value[1]();
      if (next.value[0] === hook) return activation;
      next = points.next(activation);
    }
    throw new RangeError(`${hook} is not a hook point`);
  }

  private embed(tokens: tf.Tensor1D, batch: number): tf.Tensor2D {
    const length = tokens.size / batch;
    const { dModel } = this.architecture;
    const rows = tf.reshape(tf.gather(this.tensor2d('transformer.wte.weight'), tokens), [batch, length, dModel]);
    const positions = tf.slice2d(this.tensor2d('transformer.wpe.weight'), [0, 0], [length, dModel]);
    return tf.reshape(tf.add(rows, positions), [batch * length, dModel]);
  }

  private block(input: tf.Tensor2D, layer: number, batch: number, tap: Tap): { x: tf.Tensor2D; cache: BlockCache } {
    const block = `transformer.h.${layer}`;
    const hook = `blocks.${layer}`;
    const resid = tap(`${hook}.hook_resid_pre`, input);
    const length = resid.shape[0] / batch;
    const first = this.norm(`${block}.ln_1`, resid);
    const joined = linear(first.y, this.tensor2d(`${block}.attn.c_attn.weight`), this.bias(`${block}.attn.c_attn`));
    const [unscaled, k, v] = this.splitHeads(joined, batch, length, 3);
    const q = tf.mul<tf.Tensor3D>(unscaled!, 1 / Math.sqrt(this.headWidth));
    const attention = causalAttention(q, k!, v!);
    const z = tap(`${hook}.attn.hook_z`, this.joinHeads(attention.z, batch));
    const points = this.afterAttention(resid, z, layer);
    let next = points.next();
    while (!next.done) next = points.next(tap(next.value[0], next.value[1]()));
    const { x, cache } = next.value;
    return { x, cache: { norm1: first.cache, attentionInput: first.y, q, k: k!, v: v!, zHeads: attention.z, z, attention: attention.cache, ...cache } };
  }

  /**
   * From attn.hook_z to hook_resid_post, the part that works on each position by itself: yields every hook point with
   * what computes its activation, and goes on with what it is given back.
   */
  *afterAttention(resid: tf.Tensor2D, z: tf.Tensor2D, layer: number): Generator<[string, () => tf.Tensor2D], AfterAttention, tf.Tensor2D> {
    const block = `transformer.h.${layer}`;
    const hook = `blocks.${layer}`;
    const attentionOut = yield [`${hook}.hook_attn_out`, () => linear(z, this.tensor2d(`${block}.attn.c_proj.weight`), this.bias(`${block}.attn.c_proj`))];
    const mid = yield [`${hook}.hook_resid_mid`, () => tf.add(resid, attentionOut)];
    const second = this.norm(`${block}.ln_2`, mid);
    const mlpPre = yield [`${hook}.mlp.hook_pre`, () => linear(second.y, this.tensor2d(`${block}.mlp.c_fc.weight`), this.bias(`${block}.mlp.c_fc`))];
    const mlpPost = yield [`${hook}.mlp.hook_post`, () => activate(this.architecture.activation, mlpPre)];
    const mlpOut = yield [`${hook}.hook_mlp_out`, () => linear(mlpPost, this.tensor2d(`${block}.mlp.c_proj.weight`), this.bias(`${block}.mlp.c_proj`))];
    const x = yield [`${hook}.hook_resid_post`, () => tf.add(mid, mlpOut)];
    return { x, cache: { norm2: second.cache, mlpInput: second.y, mlpPre, mlpPost } };
  }

  /** The residual stream behind a block, with `x` at `hook` and all that is before it as `known` has it. */
  private finishBlock(x: tf.Tensor2D, hook: string, layer: number, batch: number, known: Readonly<Record<string, tf.Tensor2D>>): tf.Tensor2D {
    const at = (point: string) => `blocks.${layer}.${point}`;
    if (hook === at('hook_resid_pre')) return this.block(x, layer, batch, passThrough).x;
    let isBehind = hook === at('attn.hook_z');
    const points = this.afterAttention(known[at('hook_resid_pre')]!, isBehind ? x : known[at('attn.hook_z')]!, layer);
    let next = points.next();
    while (!next.done) {
      const [name, compute] = next.value;
      // what is neither known nor behind the hook is used by nothing
      next = points.next(name === hook ? x : isBehind ? compute() : (known[name] ?? x));
      isBehind ||= name === hook;
    }
    return next.value.x;
  }

  private blockBackward(dx: tf.Tensor2D, layer: number, batch: number, cache: BlockCache, gradients: Tensors): tf.Tensor2D {
    const block = `transformer.h.${layer}`;
    const dPost = this.linearBackward(`${block}.mlp.c_proj`, dx, cache.mlpPost, gradients);
    const slope = activationSlope(this.architecture.activation, cache.mlpPre);
    const dPre = tf.mul<tf.Tensor2D>(dPost, slope);
    const dMlpInput = this.linearBackward(`${block}.mlp.c_fc`, dPre, cache.mlpInput, gradients);
    // the widest tensors of the step: freed before the attention's backward pass needs as much
    tf.dispose([dPost, slope, dPre, cache.mlpPre, cache.mlpPost]);
    const dMid = tf.add<tf.Tensor2D>(dx, this.normBackward(`${block}.ln_2`, dMlpInput, cache.norm2, gradients));

    const length = dMid.shape[0] / batch;
    const dZ = this.linearBackward(`${block}.attn.c_proj`, dMid, cache.z, gradients);
    const [dZHeads] = this.splitHeads(dZ, batch, length, 1);
    const { dq, dk, dv } = causalAttentionBackward(dZHeads!, cache.q, cache.k, cache.v, cache.zHeads, cache.attention);
    const parts = [tf.mul<tf.Tensor3D>(dq, 1 / Math.sqrt(this.headWidth)), dk, dv].map((part) => this.joinHeads(part, batch));
    tf.dispose([cache.attention.probabilities, dZHeads!, dq, dk, dv]);
    const dNorm1 = this.linearBackward(`${block}.attn.c_attn`, tf.concat2d(parts, 1), cache.attentionInput, gradients);
    return tf.add(dMid, this.normBackward(`${block}.ln_1`, dNorm1, cache.norm1, gradients));
  }

  /** dy [n, out] → dx [n, in]; writes the weight's (and bias's) gradient. */
  private linearBackward(name: string, dy: tf.Tensor2D, input: tf.Tensor2D, gradients: Tensors): tf.Tensor2D {
    gradients[`${name}.weight`] = matMul(dy, input, true, false);
    if (this.architecture.bias) gradients[`${name}.bias`] = tf.sum(dy, 0);
    return matMul(dy, this.tensor2d(`${name}.weight`));
  }

  private normBackward(name: string, dy: tf.Tensor2D, cache: LayerNormCache, gradients: Tensors): tf.Tensor2D {
    const { dx, dGain, dBias } = layerNormBackward(dy, cache, this.parameters[`${name}.weight`] as tf.Tensor1D);
    gradients[`${name}.weight`] = dGain;
    if (this.architecture.bias) gradients[`${name}.bias`] = dBias;
    return dx;
  }

  private finalNorm(x: tf.Tensor2D) {
    return this.norm('transformer.ln_f', x);
  }

  norm(name: string, x: tf.Tensor2D) {
    return layerNorm(x, this.parameters[`${name}.weight`] as tf.Tensor1D, this.bias(name));
  }

  bias(name: string): tf.Tensor1D | undefined {
    return this.parameters[`${name}.bias`] as tf.Tensor1D | undefined;
  }

  tensor2d(name: string): tf.Tensor2D {
    const tensor = this.parameters[name];
    if (tensor === undefined) throw new RangeError(`parameter ${name} is missing`);
    return tensor as tf.Tensor2D;
  }

  /** [batch · T, parts · heads · head] → `parts` tensors [batch · heads, T, head]. */
  splitHeads(joined: tf.Tensor2D, batch: number, length: number, parts: number): tf.Tensor3D[] {
    const { nHead } = this.architecture;
    const five = tf.transpose(tf.reshape(joined, [batch, length, parts, nHead, this.headWidth]), [2, 0, 3, 1, 4]);
    // slices of the first axis: TensorFlow shares their memory, where it would copy for unstack
    return Array.from({ length: parts }, (_, part) => tf.reshape(tf.slice(five, [part, 0, 0, 0, 0], [1, batch, nHead, length, this.headWidth]), [batch * nHead, length, this.headWidth]));
  }

  /** [batch · heads, T, head] → [batch · T, heads · head]. */
  joinHeads(heads: tf.Tensor3D, batch: number): tf.Tensor2D {
    const { nHead, dModel } = this.architecture;
    const length = heads.shape[1];
    const four = tf.reshape(heads, [batch, nHead, length, this.headWidth]);
    return tf.reshape(tf.transpose(four, [0, 2, 1, 3]), [batch * length, dModel]);
  }
}
