// Our side of the SAE's training step: the trainer that every run uses, choosing its path by the L0 of the step before.
// Argument: {file, learningRate, l1Coefficient, beta1, beta2, epsilon, threads}; the file holds the weights and x.
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { saeParameterNames, type SaeArrays } from '../../model/sae.ts';
import { openSaeTrainer, zeroSaeArrays } from '../../model/saeTrainer.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { serveSide } from './serve.ts';

const number = z.number();
const options = z
  .object({ file: z.string(), threads: z.int(), learningRate: number, l1Coefficient: number, beta1: number, beta2: number, epsilon: number })
  .parse(JSON.parse(process.argv[2]!));
const backend = await loadBackend({ threads: options.threads });
const { tensors } = decodeSafetensors(readFileSync(options.file));
const weights = Object.fromEntries(saeParameterNames.map((name) => [name, tensors[name]!.data])) as unknown as SaeArrays;
const { data, shape } = tensors['x']!;
const [batches, batchSize, d] = shape as [number, number, number];
const x = Array.from({ length: batches }, (_, index) => (data as Float32Array).subarray(index * batchSize * d, (index + 1) * batchSize * d));
const features = weights.b_enc.length;
const { beta1, beta2, epsilon, learningRate, l1Coefficient } = options;
const zeros = () => zeroSaeArrays(d, features);
const trainer = openSaeTrainer({ weights, m: zeros(), v: zeros() }, { features, batchSize, beta1, beta2, epsilon, lossConvention: 'sum' });

let lastL0: number | undefined;
await serveSide(backend, (index) => {
  const { loss, l0, path } = trainer.step(x[index % batches]!, index + 1, { learningRate, l1Coefficient }, lastL0);
  lastL0 = l0;
  return { values: { loss, l0, tensors: tf.memory().numTensors }, note: `${trainer.device}, ${path} path` };
});
