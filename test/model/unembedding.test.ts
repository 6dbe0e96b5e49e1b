import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { tokenLosses, unembeddingBackward } from '../../model/unembedding.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { relativeError } from './oracle.ts';

// rows of length about 3 · scale and 3: logits within ±70 at the first scale, beyond it at the second
it.each([1, 12])('losses and gradients of 1,100 rows equal automatic differentiation, rows scaled by %d', async (scale) => {
  await loadBackend({});
  const stream = new RandomStream(4, 'test', scale);
  const random = (rows: number, factor: number) => tf.tensor2d(Float32Array.from({ length: rows * 8 }, () => factor * stream.normal()), [rows, 8]);
  const [final, embedding] = [random(1100, scale), random(40, 1)];
  const targets = tf.tensor1d(Int32Array.from({ length: 1100 }, () => stream.integer(40)), 'int32');
  const oneHot = tf.oneHot(targets, 40);
  const losses = (x: tf.Tensor2D, e: tf.Tensor2D) => tf.neg(tf.sum(tf.mul(tf.logSoftmax(tf.matMul(x, e, false, true)), oneHot), 1));
  const expected = losses(final, embedding);
  expect(relativeError(tokenLosses(final, embedding, targets).dataSync(), expected.dataSync())).toBeLessThan(1e-5);

  const [dFinal, dEmbedding] = tf.grads((x: tf.Tensor, e: tf.Tensor) => tf.mean(losses(x as tf.Tensor2D, e as tf.Tensor2D)))([final, embedding]);
  const made = unembeddingBackward(final, embedding, targets);
  const gradient = tf.add(tf.transpose(made.dEmbeddingTransposed), tf.unsortedSegmentSum(made.dTargetRows, targets, 40));
  expect(relativeError(made.loss.dataSync(), tf.mean(expected).dataSync())).toBeLessThan(1e-5);
  expect(relativeError(made.dFinal.dataSync(), dFinal!.dataSync())).toBeLessThan(1e-5);
  expect(relativeError(gradient.dataSync(), dEmbedding!.dataSync())).toBeLessThan(1e-5);
});
