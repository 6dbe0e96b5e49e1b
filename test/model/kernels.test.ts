import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { matMul, matMulPortable } from '../../model/kernels.ts';
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
