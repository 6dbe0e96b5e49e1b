// On WebAssembly a product with a transposed factor goes by another way (model/kernels.ts): it must be the same product.
import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { matMul } from '../../model/kernels.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';

it('every transposition agrees with sums by hand, whichever factor is the larger', async () => {
  expect((await loadBackend({ env: { ...process.env, SAEFLOW_TF_VARIANT: 'wasm' } })).name).toBe('wasm');
  const stream = new RandomStream(1, 'test');
  for (const [m, n] of [[17, 5], [5, 17], [1, 40]] as const) {
    const k = 31;
    for (const [transposeA, transposeB] of [[false, false], [false, true], [true, false], [true, true]] as const) {
      const a = Float32Array.from({ length: m * k }, () => stream.normal());
      const b = Float32Array.from({ length: k * n }, () => stream.normal());
      const product = matMul(tf.tensor2d(a, transposeA ? [k, m] : [m, k]), tf.tensor2d(b, transposeB ? [n, k] : [k, n]), transposeA, transposeB);
      expect(product.shape).toEqual([m, n]);
      product.dataSync().forEach((value, index) => {
        const [row, column] = [Math.floor(index / n), index % n];
        let sum = 0;
        for (let inner = 0; inner < k; inner++) sum += a[transposeA ? inner * m + row : row * k + inner]! * b[transposeB ? column * k + inner : inner * n + column]!;
        expect(Math.abs(value - sum)).toBeLessThan(1e-4);
      });
    }
  }
});
