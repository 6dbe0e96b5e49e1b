import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { adamUpdate, adamUpdatePortable, matMul, matMulPortable } from '../../model/kernels.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { relativeError } from './oracle.ts';

it('the native matrix product agrees with the portable one for every transposition', async () => {
  expect((await loadBackend({})).name).toBe('tensorflow');
  const stream = new RandomStream(1, 'test');
  const random = (rows: number, columns: number) => tf.tensor2d(Float32Array.from({ length: rows * columns }, () => stream.normal()), [rows, columns]);
  for (const [transposeA, transposeB] of [[false, false], [false, true], [true, false], [true, true]] as const) {
    const a = transposeA ? random(31, 17) : random(17, 31);
    const b = transposeB ? random(23, 31) : random(31, 23);
    const native = matMul(a, b, transposeA, transposeB);
    expect(native.shape).toEqual([17, 23]);
    expect(relativeError(native.dataSync(), matMulPortable(a, b, transposeA, transposeB).dataSync())).toBeLessThan(1e-6);
  }
});

it('the native Adam update agrees with the portable one, and copies rather than change a tensor still in use', async () => {
  expect((await loadBackend({})).name).toBe('tensorflow');
  const stream = new RandomStream(2, 'test');
  const random = () => tf.tensor2d(Float32Array.from({ length: 19 * 7 }, () => stream.normal()), [19, 7]);
  const [parameter, m, v, gradient] = [random(), random(), tf.square<tf.Tensor2D>(random()), random()] as const;
  const before = [parameter, m, v].map((tensor) => tensor.dataSync().slice());
  const coefficients = { beta1: Math.fround(0.9), beta2: Math.fround(0.999), stepSize: 3e-3, epsilon: 1e-8 };
  const clones = () => ({ parameter: parameter.clone(), m: m.clone(), v: v.clone() });
  const native = adamUpdate(clones(), gradient, coefficients);
  const portable = adamUpdatePortable(clones(), gradient, coefficients);
  for (const name of ['parameter', 'm', 'v'] as const) {
    expect(native[name].shape).toEqual([19, 7]);
    expect(relativeError(native[name].dataSync(), portable[name].dataSync()), name).toBeLessThan(1e-6);
  }
  expect([parameter, m, v].map((tensor) => tensor.dataSync())).toEqual(before);
});
