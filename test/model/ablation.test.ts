// Ablation effects beside the plain way to get them: for every pair a full forward pass with x − f · d at one position.
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { Ablation } from '../../model/ablation.ts';
import { initialParameters, Transformer } from '../../model/transformer.ts';
import type { ArchitectureConfig } from '../../schemas/config.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';

const [batch, length, vocabRows, features] = [2, 7, 64, 3];
const points = ['hook_resid_pre', 'attn.hook_z', 'hook_attn_out', 'hook_resid_mid', 'mlp.hook_pre', 'mlp.hook_post', 'hook_mlp_out', 'hook_resid_post'];

beforeAll(() => loadBackend({}));

describe.each([true, false])('with bias: %s', (bias) => {
  const architecture: ArchitectureConfig = { nLayer: 2, nHead: 2, dModel: 12, dMlp: 20, contextLength: length, bias, activation: 'gelu' };

  it.each([0, 1].flatMap((layer) => points.map((point) => `blocks.${layer}.${point}`)))('at %s every effect equals that of a full forward pass', (hook) => {
    const model = randomModel(architecture);
    const stream = new RandomStream(2, 'ablation', hook);
    const width = /mlp\.hook_p/.test(hook) ? architecture.dMlp : architecture.dModel;
    const decoder = tf.tensor2d(Float32Array.from({ length: features * width }, () => stream.normal() / 3), [features, width]);
    const ids = (what: string) => tf.tensor1d(Int32Array.from({ length: batch * length }, (_, index) => (index * 31 + what.length * 7) % vocabRows), 'int32');
    const [tokens, targets] = [ids('tokens'), ids('next tokens')];
    // every position with every feature, and one pair twice with another value
    const row = Int32Array.from({ length: batch * length * features + 1 }, (_, pair) => Math.min(batch * length - 1, Math.floor(pair / features)));
    const feature = row.map((_, pair) => pair % features);
    const value = Float32Array.from(row, () => 2 * stream.uniform());
    const clean = tf.tidy(() => model.tokenLosses(tokens, targets, batch).dataSync() as Float32Array);

    const ablation = new Ablation(model, hook, decoder);
    const effects = ablation.effects(tokens, targets, batch, clean, { row, feature, value });
    ablation.dispose();

    let largest = 0;
    row.forEach((at, pair) => {
      const shift = new Float32Array(batch * length * width);
      shift.set(decoder.arraySync()[feature[pair]!]!.map((component) => component * value[pair]!), at * width);
      const ablated = tf.tidy(() => model.tokenLosses(tokens, targets, batch, (name, x) => (name === hook ? tf.sub(x, tf.tensor2d(shift, [batch * length, width])) : x)).dataSync()[at]!);
      const expected = ablated - clean[at]!;
      largest = Math.max(largest, Math.abs(expected));
      expect(Math.abs(effects[pair]! - expected), `pair ${pair}`).toBeLessThan(1e-5);
    });
    expect(largest).toBeGreaterThan(0.05);
  });
});

it('frees all tensors but its own', () => {
  const architecture: ArchitectureConfig = { nLayer: 2, nHead: 2, dModel: 12, dMlp: 20, contextLength: length, bias: false, activation: 'relu' };
  const model = randomModel(architecture);
  const decoder = tf.ones<tf.Rank.R2>([features, 12]);
  const [tokens, targets] = [tf.zeros<tf.Rank.R1>([length], 'int32'), tf.ones<tf.Rank.R1>([length], 'int32')];
  const before = tf.memory().numTensors;
  const ablation = new Ablation(model, 'blocks.0.hook_resid_mid', decoder);
  ablation.effects(tokens, targets, 1, new Float32Array(length), { row: Int32Array.from([1, 5]), feature: Int32Array.from([0, 2]), value: Float32Array.from([1, 2]) });
  ablation.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

/** Weights some ten times as large as at the start of training, so that attention and LayerNorm are far from linear. */
function randomModel(architecture: ArchitectureConfig): Transformer {
  const parameters = Object.entries(initialParameters(architecture, vocabRows, 1)).map(([name, { shape, data }]) => {
    const stream = new RandomStream(4, name);
    const around = /ln_(1|2|f)\.weight$/.test(name) ? 1 : 0;
    return [name, tf.tensor(Float32Array.from(data, () => around + 0.25 * stream.normal()), shape)];
  });
  return new Transformer(architecture, Object.fromEntries(parameters) as Record<string, tf.Tensor>);
}
