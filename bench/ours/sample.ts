// Our side of sampling: Transformer.activationsAt and the vectors in JavaScript's hands, as stages/sampleShard.ts has them.
// Argument: {file, architecture, hook, threads}; the file holds weights under param., tokens and positions.
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { z } from 'zod';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { Transformer } from '../../model/transformer.ts';
import { architectureConfig } from '../../schemas/config.ts';
import { toTensors } from '../../stages/tensorFiles.ts';
import { loadBackend } from '../../workers/tensorflow.ts';
import { serveSide } from './serve.ts';

const options = z.object({ file: z.string(), architecture: architectureConfig, hook: z.string(), threads: z.int() }).parse(JSON.parse(process.argv[2]!));
const backend = await loadBackend({ threads: options.threads });
const { tensors } = decodeSafetensors(readFileSync(options.file));
const model = new Transformer(options.architecture, toTensors(tensors, 'param.'));
const tokens = tensors['tokens']!;
const positions = Int32Array.from(tensors['positions']!.data as Int32Array);
const batch = tokens.shape[0]!;
const text = Int32Array.from(tokens.data as Int32Array);
/** Enough to tell other work from the same; all of them would be timed. */
const checkedVectors = 64;

await serveSide(backend, async () => {
  const result = tf.tidy(() => model.activationsAt(options.hook, tf.tensor1d(text, 'int32'), batch, positions));
  const vectors = (await result.data()) as Float32Array;
  const width = result.shape[1];
  result.dispose();
  const checked = vectors.subarray(0, checkedVectors * width);
  return { values: { meanMagnitude: checked.reduce((sum, value) => sum + Math.abs(value), 0) / checked.length, tensors: tf.memory().numTensors } };
});
