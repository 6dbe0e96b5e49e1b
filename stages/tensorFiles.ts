// Between tensors and the arrays that files hold: one way in, one way out.
import * as tf from '@tensorflow/tfjs-core';
import type { TensorData, TensorInput } from '../data/safetensors.ts';
import type { Tensors } from '../model/transformer.ts';

/** Arrays to tensors; with a prefix, only the names that start with it, without it. */
export function toTensors(arrays: Record<string, { shape: number[]; data: unknown }>, prefix = ''): Tensors {
  return Object.fromEntries(
    Object.entries(arrays)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, { shape, data }]) => [name.slice(prefix.length), tf.tensor(data as Float32Array, shape, data instanceof Int32Array ? 'int32' : 'float32')]),
  );
}

/** Tensors to arrays, each name with the prefix before it. */
export function fromTensors(tensors: Tensors, prefix = ''): Record<string, TensorInput> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}${name}`, { shape: tensor.shape, data: tensor.dataSync() as TensorData }]));
}
