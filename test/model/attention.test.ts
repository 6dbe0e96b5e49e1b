import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { attentionAtPositions, causalAttention } from '../../model/attention.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { relativeError } from './oracle.ts';

const [batch, heads, length, width, kept] = [2, 3, 300, 4, 100];

// scores within ±70 at the first scale, beyond it at the second
it.each([1, 30])('attention at kept positions, in any order, equals that at all positions: queries scaled by %d', async (scale) => {
  await loadBackend({});
  const stream = new RandomStream(6, 'test', scale);
  const random = (factor: number) => tf.tensor3d(Float32Array.from({ length: batch * heads * length * width }, () => factor * stream.normal()), [batch * heads, length, width]);
  const [q, k, v] = [random(scale), random(1), random(1)];
  const ascending = stream.sampleWithoutReplacement(length, kept);
  const positions = Int32Array.from([...ascending, ...stream.permutation(length).subarray(0, kept)]);
  const ofPrompt = (x: tf.Tensor3D, prompt: number) =>
    tf.gather(tf.slice3d(x, [prompt * heads, 0, 0], [heads, length, width]), tf.tensor1d(positions.subarray(prompt * kept, (prompt + 1) * kept), 'int32'), 1);
  const atKept = (x: tf.Tensor3D) => tf.concat3d([ofPrompt(x, 0), ofPrompt(x, 1)] as tf.Tensor3D[], 0);
  const expected = atKept(causalAttention(q, k, v).z);
  expect(relativeError(attentionAtPositions(atKept(q), k, v, positions, batch).dataSync(), expected.dataSync())).toBeLessThan(1e-5);
});
