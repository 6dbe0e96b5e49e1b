// Our side of the transformer's training step: model/transformerTraining.ts on the backend every run uses.
// Argument: {file, architecture, training, threads}; the file holds weights under param., and two batches of tokens.
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { zeroMoments } from '../../model/adam.ts';
import { Transformer } from '../../model/transformer.ts';
import { trainStep } from '../../model/transformerTraining.ts';
import { architectureConfig, transformerTrainingConfig } from '../../schemas/config.ts';
import { toTensors } from '../../stages/tensorFiles.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { serveSide } from './serve.ts';

const options = z.object({ file: z.string(), architecture: architectureConfig, training: transformerTrainingConfig, threads: z.int() }).parse(JSON.parse(process.argv[2]!));
const backend = await loadBackend({ threads: options.threads });
const { tensors } = decodeSafetensors(readFileSync(options.file));
const parameters = toTensors(tensors, 'param.');
const model = new Transformer(options.architecture, parameters);
const moments = zeroMoments(parameters);
const { data: tokens, shape } = tensors['tokens']!;
const { data: targets } = tensors['targets']!;
const [batches, batch, length] = shape as [number, number, number];
const { gradientAccumulation } = options.training;

await serveSide(backend, (step) => {
  const micro = Array.from({ length: gradientAccumulation }, (_, index) => {
    const at = ((step * gradientAccumulation + index) % batches) * batch * length;
    const part = (data: unknown) => Int32Array.from((data as Int32Array).subarray(at, at + batch * length));
    return { tokens: part(tokens), targets: part(targets), batch };
  });
  const { loss } = trainStep(model, moments, micro, step, options.training);
  return { values: { loss, tensors: tf.memory().numTensors } };
});
