import * as tf from '@tensorflow/tfjs-core';
import { expect, it } from 'vitest';
import { zeroMoments } from '../../model/adam.ts';
import { initialParameters, Transformer } from '../../model/transformer.ts';
import { trainStep } from '../../model/transformerTraining.ts';
import { architectureConfig, transformerTrainingConfig } from '../../schemas/config.ts';
import { RandomStream } from '../../schemas/random.ts';
import { loadBackend } from '../../workers/tensorflow.ts';

const steps = 1000;
/** A quarter of what it would be if each step left one tensor of the embedding's size behind. */
const residentBytesAllowed = (steps * 2048 * 32 * 4) / 4;

it('training and sampling leave no tensor behind, and memory of the process stays', async () => {
  await loadBackend({});
  const architecture = architectureConfig.parse({ nLayer: 1, nHead: 2, dModel: 32, dMlp: 32, contextLength: 8 });
  const model = new Transformer(architecture, Object.fromEntries(Object.entries(initialParameters(architecture, 2048, 1)).map(([name, { shape, data }]) => [name, tf.tensor(data, shape)])));
  const moments = zeroMoments(model.parameters);
  const config = transformerTrainingConfig.parse({ steps, warmupSteps: 10 });
  const stream = new RandomStream(1, 'test');
  const draw = () => Int32Array.from({ length: 16 }, () => stream.integer(2000));
  const step = (at: number) => {
    const microBatches = at % 10 === 0 ? 2 : 1;
    trainStep(model, moments, Array.from({ length: microBatches }, () => ({ tokens: draw(), targets: draw(), batch: 2 })), at, config);
    const tokens = tf.tensor1d(draw(), 'int32');
    const found = tf.tidy(() => model.activationsAt('blocks.0.mlp.hook_post', tokens, 2, Int32Array.from([1, 4, 6, 0, 2, 7])));
    found.dataSync();
    tf.dispose([tokens, found]);
  };
  for (let at = 0; at < 100; at++) step(at);
  const { numTensors, numBytes } = tf.memory();
  const resident = process.memoryUsage.rss();
  for (let at = 100; at < steps; at++) step(at);
  expect(tf.memory()).toMatchObject({ numTensors, numBytes });
  expect(process.memoryUsage.rss() - resident).toBeLessThan(residentBytesAllowed);
}, 120_000);
