import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { decode, encode, initialSae, lossPerVector, projectDecoderGradient, saeLossAndGradients, saeParameterNames, saeSchedule, type SaeArrays, type SaeParameters } from '../../model/sae.ts';
import { TensorSaeTrainer, zeroSaeArrays } from '../../model/saeTrainer.ts';
import { saeConfig } from '../../schemas/config.ts';
import { openOracle, relativeError, type Oracle } from './oracle.ts';

/** float32 against a float64 reference. */
const tolerance = 1e-5;
const cases = [
  { convention: 'mean', l1Coefficient: 0.02 },
  { convention: 'sum', l1Coefficient: 0.1 },
] as const;

describe.each(cases)('loss in the $convention convention', ({ convention, l1Coefficient }) => {
  const open = async () => {
    const oracle = await openOracle(`sae-${convention}.safetensors`);
    return { oracle, sae: oracle.tensors('param.') as unknown as SaeParameters, x: tf.tensor2d(oracle.values('x') as Float32Array, [32, 8]) };
  };

  it('forward pass, loss and its parts equal PyTorch', async () => {
    const { oracle, sae, x } = await open();
    const f = encode(sae, x);
    expect(relativeError(f.dataSync(), oracle.values('f'))).toBeLessThan(tolerance);
    expect(relativeError(decode(sae, f).dataSync(), oracle.values('x_hat'))).toBeLessThan(tolerance);
    const { losses, fired } = saeLossAndGradients(sae, x, l1Coefficient, convention);
    const [loss, mse, l1] = losses.dataSync();
    expect(relativeError([loss!, mse!, l1!], ['loss', 'mse', 'l1'].map((name) => oracle.values(name)[0]!))).toBeLessThan(tolerance);
    const active = Array.from({ length: 24 }, (_, feature) => Array.from({ length: 32 }, (_, row) => oracle.values('f')[row * 24 + feature]!).filter((value) => value > 0).length);
    expect(Array.from(fired.dataSync())).toEqual(active);
    expect(relativeError(lossPerVector(sae, x, l1Coefficient, convention), oracle.values('rowLoss'))).toBeLessThan(tolerance);
  });

  it('gradients equal PyTorch, b_dec through both of its ends included', async () => {
    const { oracle, sae, x } = await open();
    const { gradients } = saeLossAndGradients(sae, x, l1Coefficient, convention);
    for (const [name, gradient] of Object.entries(gradients)) expect(relativeError(gradient.dataSync(), oracle.values(`grad.${name}`)), name).toBeLessThan(tolerance);
  });

  it('the projected decoder gradient equals the reference, with decoder rows of any length', async () => {
    const { oracle, sae } = await open();
    const project = (gradient: string, decoder: tf.Tensor2D) => projectDecoderGradient(tf.tensor2d(oracle.values(gradient) as Float32Array, [24, 8]), decoder).dataSync();
    expect(relativeError(project('grad.W_dec', sae.W_dec), oracle.values('projected.W_dec'))).toBeLessThan(tolerance);
    const stretched = tf.tensor2d(oracle.values('stretched.W_dec') as Float32Array, [24, 8]);
    expect(relativeError(project('stretched.grad.W_dec', stretched), oracle.values('stretched.projected.W_dec'))).toBeLessThan(tolerance);
  });

  it('50 steps of projection, Adam and renormalisation follow PyTorch', async () => {
    const { oracle } = await open();
    const config = saeConfig.parse({ features: 24, batchSize: 32, learningRate: 1e-2, l1Coefficient, lossConvention: convention, resampling: { steps: [] } });
    const trainer = new TensorSaeTrainer({ weights: oracleArrays(oracle, 'param.'), m: zeroSaeArrays(8, 24), v: zeroSaeArrays(8, 24) }, config);
    const losses: number[] = [];
    const l0: number[] = [];
    for (let step = 0; step < 50; step++) {
      const x = (oracle.values('train.x') as Float32Array).slice(step * 256, (step + 1) * 256);
      const result = trainer.step(x, step + 1, saeSchedule(step, 50, config));
      losses.push(result.loss);
      l0.push(result.l0);
    }
    expect(relativeError(losses, oracle.values('train.losses'))).toBeLessThan(tolerance);
    expect(relativeError(l0, oracle.values('train.l0'))).toBeLessThan(tolerance);
    const { weights, m, v } = trainer.arrays();
    for (const name of saeParameterNames) {
      expect(relativeError(weights[name], oracle.values(`trained.${name}`)), name).toBeLessThan(5 * tolerance);
      expect(relativeError(m[name], oracle.values(`adam.m.${name}`)), `m ${name}`).toBeLessThan(5 * tolerance);
      expect(relativeError(v[name], oracle.values(`adam.v.${name}`)), `v ${name}`).toBeLessThan(5 * tolerance);
    }
  });
});

it('a training step leaves no tensor behind', async () => {
  const oracle = await openOracle('sae-mean.safetensors');
  const trainer = new TensorSaeTrainer({ weights: oracleArrays(oracle, 'param.'), m: zeroSaeArrays(8, 24), v: zeroSaeArrays(8, 24) }, saeConfig.parse({ features: 24, batchSize: 32 }));
  const x = oracle.values('x') as Float32Array;
  const rates = { learningRate: 1e-3, l1Coefficient: 1e-3 };
  trainer.step(x, 1, rates);
  const before = tf.memory().numTensors;
  for (let step = 2; step < 6; step++) trainer.step(x, step, rates);
  expect(tf.memory().numTensors).toBe(before);
});

function oracleArrays(oracle: Oracle, prefix: string): SaeArrays {
  return Object.fromEntries(saeParameterNames.map((name) => [name, oracle.values(`${prefix}${name}`)])) as unknown as SaeArrays;
}

it('initial weights are Kaiming-uniform with unit decoder rows, and depend on the seed only', () => {
  const weights = initialSae(64, 256, 3, new Float32Array(64).fill(0.5));
  const bound = 1 / Math.sqrt(64);
  expect(Math.max(...weights.W_enc)).toBeLessThanOrEqual(bound);
  expect(Math.max(...weights.W_enc)).toBeGreaterThan(0.99 * bound);
  const meanSquare = weights.W_enc.reduce((sum, value) => sum + value * value, 0) / weights.W_enc.length;
  expect(meanSquare / (bound ** 2 / 3)).toBeCloseTo(1, 1);
  for (let row = 0; row < 256; row++) expect(Math.hypot(...weights.W_dec.subarray(row * 64, (row + 1) * 64))).toBeCloseTo(1, 5);
  expect(weights.b_dec).toEqual(new Float32Array(64).fill(0.5));
  expect(initialSae(64, 256, 3, new Float32Array(64).fill(0.5))).toEqual(weights);
});

it('the schedule decays at the end, warms λ up, and warms the rate up again after a resampling only where asked', () => {
  const config = saeConfig.parse({ learningRate: 1, l1Coefficient: 1, decayFraction: 0.2, l1WarmupSteps: 10, resampling: { steps: [50], deadWindowSteps: 20, rewarmupSteps: 4 } });
  expect(saeSchedule(0, 100, config).l1Coefficient).toBeCloseTo(0.1, 12);
  expect(saeSchedule(20, 100, config)).toEqual({ learningRate: 1, l1Coefficient: 1 });
  expect(saeSchedule(50, 100, config).learningRate).toBeCloseTo(0.2, 12);
  expect(saeSchedule(54, 100, config).learningRate).toBe(1);
  expect(saeSchedule(90, 100, config).learningRate).toBeCloseTo(0.5, 12);
  expect(saeSchedule(50, 100, saeConfig.parse({ learningRate: 1, resampling: { steps: [50], deadWindowSteps: 20 } })).learningRate).toBe(1);
});
