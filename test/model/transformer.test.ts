import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { zeroMoments } from '../../model/adam.ts';
import { countParameters, initialParameters, parameterShapes, Transformer } from '../../model/transformer.ts';
import { learningRateAt, trainStep } from '../../model/transformerTraining.ts';
import { architectureConfig, transformerTrainingConfig, type ArchitectureConfig } from '../../schemas/config.ts';
import { RandomStream } from '../../schemas/random.ts';
import { openOracle, relativeError, type Oracle } from './oracle.ts';

const cases: { file: string; architecture: ArchitectureConfig }[] = [
  { file: 'transformer-a.safetensors', architecture: { nLayer: 1, nHead: 2, dModel: 16, dMlp: 64, contextLength: 12, bias: false, activation: 'gelu' } },
  { file: 'transformer-b.safetensors', architecture: { nLayer: 3, nHead: 4, dModel: 16, dMlp: 64, contextLength: 12, bias: true, activation: 'gelu-tanh' } },
  { file: 'transformer-c.safetensors', architecture: { nLayer: 1, nHead: 2, dModel: 16, dMlp: 40, contextLength: 12, bias: false, activation: 'relu' } },
];
/** float32 against a float64 reference: PyTorch's own float32 strays up to 3.2e-6 from it (float32Deviation in each file). */
const tolerance = 1e-5;
const trainingSteps = 200;

const int32 = (oracle: Oracle, name: string) => tf.tensor1d(oracle.values(name) as Int32Array, 'int32');

describe.each(cases)('$file', ({ file, architecture }) => {
  it('logits, loss and the activation at every hook point equal PyTorch', async () => {
    const oracle = await openOracle(file);
    const model = new Transformer(architecture, oracle.tensors('param.'));
    const seen = new Map<string, Float32Array>();
    const logits = model.logits(
      model.forward(int32(oracle, 'tokens'), 3, (hook, activation) => {
        seen.set(hook, activation.dataSync() as Float32Array);
        return activation;
      }),
    );
    expect(relativeError(logits.dataSync(), oracle.values('logits'))).toBeLessThan(tolerance);
    expect(seen.size).toBe(8 * architecture.nLayer);
    for (const [hook, values] of seen) expect(relativeError(values, oracle.values(`hook.${hook}`)), hook).toBeLessThan(tolerance);
    const losses = model.tokenLosses(int32(oracle, 'tokens'), int32(oracle, 'targets'), 3);
    expect(relativeError(tf.mean(losses).dataSync(), oracle.values('loss'))).toBeLessThan(tolerance);
  });

  it('every gradient equals PyTorch', async () => {
    const oracle = await openOracle(file);
    const model = new Transformer(architecture, oracle.tensors('param.'));
    const { loss, gradients } = model.lossAndGradients(int32(oracle, 'tokens'), int32(oracle, 'targets'), 3);
    expect(relativeError(loss.dataSync(), oracle.values('loss'))).toBeLessThan(tolerance);
    expect(Object.keys(gradients).sort()).toEqual(Object.keys(model.parameters).sort());
    for (const [name, gradient] of Object.entries(gradients)) {
      expect(gradient.shape).toEqual(model.parameters[name]!.shape);
      expect(relativeError(gradient.dataSync(), oracle.values(`grad.${name}`)), name).toBeLessThan(tolerance);
    }
  });

  it('200 steps of AdamW with clipping and cosine schedule follow PyTorch', async () => {
    const oracle = await openOracle(file);
    await followTraining(oracle, architecture, 'train', 'trained.', 1);
  });

  it('a pass taken up again at any hook point gives the bits of a whole one with that activation', async () => {
    const oracle = await openOracle(file);
    const model = new Transformer(architecture, oracle.tensors('param.'));
    const tokens = int32(oracle, 'tokens');
    const final = model.forward(tokens, 3).dataSync();
    const hooks: string[] = [];
    model.forward(tokens, 3, (hook, activation) => {
      hooks.push(hook);
      return activation;
    });
    for (const hook of hooks) {
      const pass = model.resumable(tokens, 3, hook);
      expect(pass.final.dataSync(), hook).toEqual(final);
      expect(pass.resume(pass.activation).dataSync(), hook).toEqual(final);
      const other = tf.cos(pass.activation);
      const whole = model.forward(tokens, 3, (name, activation) => (name === hook ? other : activation)).dataSync();
      expect(pass.resume(other).dataSync(), hook).toEqual(whole);
      expect(whole, hook).not.toEqual(final);
    }
    for (const wrong of [`blocks.${architecture.nLayer}.hook_resid_pre`, 'blocks.0.mlp.hook_posted', 'hook_embed']) expect(() => model.resumable(tokens, 3, wrong), wrong).toThrow(RangeError);
  });

  it('activations at kept positions equal those of the full forward pass', async () => {
    const oracle = await openOracle(file);
    const model = new Transformer(architecture, oracle.tensors('param.'));
    const positions = Int32Array.from([0, 3, 11, 2, 5, 6, 1, 10, 11]);
    for (const name of ['hook_resid_pre', 'attn.hook_z', 'hook_attn_out', 'hook_resid_mid', 'mlp.hook_pre', 'mlp.hook_post', 'hook_mlp_out', 'hook_resid_post']) {
      const hook = `blocks.${architecture.nLayer - 1}.${name}`;
      const kept = model.activationsAt(hook, int32(oracle, 'tokens'), 3, positions);
      const [, length, width] = oracle.shape(`hook.${hook}`) as [number, number, number];
      const all = oracle.values(`hook.${hook}`) as Float32Array;
      const expected = Array.from(positions).flatMap((position, index) => {
        const row = Math.floor(index / 3) * length + position;
        return Array.from(all.subarray(row * width, (row + 1) * width));
      });
      expect(relativeError(kept.dataSync(), expected), hook).toBeLessThan(tolerance);
    }
  });
});

const longCases: Record<string, Pick<ArchitectureConfig, 'nLayer' | 'bias' | 'activation'>> = {
  one: { nLayer: 1, bias: false, activation: 'gelu' },
  oneWithBias: { nLayer: 1, bias: true, activation: 'relu' },
  three: { nLayer: 3, bias: false, activation: 'gelu-tanh' },
  threeWithBias: { nLayer: 3, bias: true, activation: 'gelu' },
};

it.each(Object.keys(longCases))('at a context of 1,024, losses and every gradient equal PyTorch: %s', async (name) => {
  const oracle = await openOracle('transformer-long.safetensors');
  const architecture: ArchitectureConfig = { nHead: 2, dModel: 8, dMlp: 16, contextLength: 1024, ...longCases[name]! };
  const stream = (what: string) => new RandomStream(11, 'oracle', name, what);
  const parameters = Object.fromEntries(
    Object.entries(parameterShapes(architecture, 64)).map(([parameter, shape]) => {
      const draws = stream(parameter);
      const gain = /ln_(1|2|f)\.weight$/.test(parameter) ? 1 : 0;
      const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.7 * draws.uniform() - 0.35 + gain);
      return [parameter, tf.tensor(values, shape)];
    }),
  );
  const draws = stream('tokens');
  const text = Int32Array.from({ length: 1025 }, () => Math.floor(draws.uniform() * 50));
  const [tokens, targets] = [tf.tensor1d(text.subarray(0, 1024), 'int32'), tf.tensor1d(text.subarray(1), 'int32')];
  const model = new Transformer(architecture, parameters);
  expect(relativeError(model.tokenLosses(tokens, targets, 1).dataSync(), oracle.values(`${name}.losses`))).toBeLessThan(tolerance);
  const { gradients } = model.lossAndGradients(tokens, targets, 1);
  expect(Object.keys(gradients).sort()).toEqual(Object.keys(parameters).sort());
  for (const [parameter, gradient] of Object.entries(gradients)) {
    expect(relativeError(withoutKeyBias(parameter, gradient.dataSync()), withoutKeyBias(parameter, oracle.values(`${name}.grad.${parameter}`))), parameter).toBeLessThan(tolerance);
  }
});

it('gradient accumulation over two micro-batches follows PyTorch', async () => {
  await followTraining(await openOracle(cases[0]!.file), cases[0]!.architecture, 'accum2.train', 'accum2.trained.', 2);
});

it('gradients of a model longer than one block of attention equal finite differences', async () => {
  await openOracle(cases[0]!.file);
  const architecture = architectureConfig.parse({ nLayer: 1, nHead: 2, dModel: 8, dMlp: 16, contextLength: 300 });
  const parameters = Object.fromEntries(
    Object.entries(initialParameters(architecture, 64, 3)).map(([name, { shape, data }]) => [name, tf.tensor(data.map((value) => (/ln_/.test(name) ? value : value * 20)), shape)]),
  );
  const stream = new RandomStream(5, 'test');
  const draw = () => tf.tensor1d(Int32Array.from({ length: 600 }, () => stream.integer(50)), 'int32');
  const [tokens, targets] = [draw(), draw()];
  const model = new Transformer(architecture, parameters);
  const { gradients } = model.lossAndGradients(tokens, targets, 2);
  const loss = () => tf.tidy(() => model.tokenLosses(tokens, targets, 2).dataSync() as Float32Array).reduce((a, b) => a + b, 0) / 600;
  for (const [name, gradient] of Object.entries(gradients)) {
    const direction = tf.sign(gradient);
    const original = model.parameters[name]!;
    const step = 2e-3;
    model.parameters[name] = tf.add(original, tf.mul(direction, step));
    const above = loss();
    model.parameters[name] = tf.sub(original, tf.mul(direction, step));
    const below = loss();
    model.parameters[name] = original;
    const slope = tf.sum(tf.mul(gradient, direction)).dataSync()[0]!;
    expect(Math.abs((above - below) / (2 * step) - slope) / slope, name).toBeLessThan(0.02);
  }
});

it('a replaced activation changes the loss, and replaced by itself does not', async () => {
  const { file, architecture } = cases[1]!;
  const oracle = await openOracle(file);
  const model = new Transformer(architecture, oracle.tensors('param.'));
  const loss = (replace: (x: tf.Tensor2D) => tf.Tensor2D) =>
    tf.mean(model.tokenLosses(int32(oracle, 'tokens'), int32(oracle, 'targets'), 3, (hook, x) => (hook === 'blocks.1.mlp.hook_post' ? replace(x) : x))).dataSync()[0]!;
  expect(loss((x) => tf.add(x, 0))).toBeCloseTo(oracle.values('loss')[0]!, 5);
  expect(Math.abs(loss((x) => tf.zerosLike(x)) - oracle.values('loss')[0]!)).toBeGreaterThan(1e-3);
});

it('initial parameters have the reference distributions and depend on the seed only', () => {
  const architecture = architectureConfig.parse({ nLayer: 2, contextLength: 64 });
  const parameters = initialParameters(architecture, 8192, 7);
  expect(Object.keys(parameters)).toEqual(Object.keys(parameterShapes(architecture, 8192)));
  const std = (name: string) => Math.sqrt(parameters[name]!.data.reduce((sum, value) => sum + value * value, 0) / parameters[name]!.data.length);
  expect(std('transformer.wte.weight')).toBeCloseTo(0.02, 3);
  expect(std('transformer.h.1.mlp.c_proj.weight')).toBeCloseTo(0.02 / Math.sqrt(4), 3);
  expect(std('transformer.ln_f.weight')).toBe(1);
  expect(initialParameters(architecture, 8192, 7)).toEqual(parameters);
  expect(initialParameters(architecture, 8192, 8)['transformer.wte.weight']).not.toEqual(parameters['transformer.wte.weight']);
});

it('counts GPT-2 small as nanoGPT does: 123.59M at 50,304 rows without biases', () => {
  const gpt2 = architectureConfig.parse({ nLayer: 12, nHead: 12, dModel: 768, dMlp: 3072 });
  expect(countParameters(gpt2, 50_304)).toBe(50_304 * 768 + 12 * (12 * 768 * 768 + 2 * 768) + 768);
});

it('the schedule warms up linearly, peaks once and ends at the minimum', () => {
  const config = transformerTrainingConfig.parse({ steps: 100, warmupSteps: 10, learningRate: 1, minLearningRate: 0.1 });
  expect(learningRateAt(0, config)).toBeCloseTo(1 / 11, 12);
  expect(learningRateAt(10, config)).toBe(1);
  expect(learningRateAt(55, config)).toBeCloseTo(0.55, 12);
  expect(learningRateAt(100, config)).toBeCloseTo(0.1, 12);
});

async function followTraining(oracle: Oracle, architecture: ArchitectureConfig, prefix: string, trained: string, accumulation: number): Promise<void> {
  const model = new Transformer(architecture, oracle.tensors('param.'));
  const moments = zeroMoments(model.parameters);
  const config = transformerTrainingConfig.parse({ steps: trainingSteps, warmupSteps: 20, learningRate: 3e-3, minLearningRate: 3e-4, gradientAccumulation: accumulation });
  const stored = oracle.values(`${prefix}.tokens`);
  const perBatch = 3 * 13;
  const losses: number[] = [];
  const norms: number[] = [];
  for (let step = 0; step < trainingSteps; step++) {
    const batches = Array.from({ length: accumulation }, (_, micro) => {
      const rows = Array.from({ length: 3 }, (_, row) => stored.slice((step * accumulation + micro) * perBatch + row * 13, (step * accumulation + micro) * perBatch + (row + 1) * 13));
      return { tokens: Int32Array.from(rows.flatMap((row) => [...row.slice(0, 12)])), targets: Int32Array.from(rows.flatMap((row) => [...row.slice(1)])), batch: 3 };
    });
    const { loss, gradientNorm } = trainStep(model, moments, batches, step, config);
    losses.push(loss);
    norms.push(gradientNorm);
  }
  expect(relativeError(losses, oracle.values(`${prefix}.losses`))).toBeLessThan(tolerance);
  expect(relativeError(norms, oracle.values(`${prefix}.gradNorms`))).toBeLessThan(tolerance);
  for (const [name, parameter] of Object.entries(model.parameters)) {
    const [actual, expected] = [parameter.dataSync(), oracle.values(`${trained}${name}`)].map((values) => withoutKeyBias(name, values));
    expect(relativeError(actual!, expected!), name).toBeLessThan(5 * tolerance);
  }
}

/** A key bias has no true gradient, only rounding; and Adam turns that into steps, in PyTorch's float32 too. */
function withoutKeyBias(name: string, values: ArrayLike<number>): number[] {
  const all = Array.from(values);
  if (name.endsWith('c_attn.bias')) all.splice(all.length / 3, all.length / 3);
  return all;
}
