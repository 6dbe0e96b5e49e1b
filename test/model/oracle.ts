// Reads the reference outputs under test/oracle and starts the real backend they are compared on.
import { readFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { decodeSafetensors } from '../../data/safetensors.ts';
import { loadBackend } from '../../workers/tensorflow.ts';

export interface Oracle {
  /** A tensor's values. */
  values(name: string): Float32Array | Int32Array;
  shape(name: string): number[];
  /** All tensors whose name starts with the prefix, as tensors, named without it. */
  tensors(prefix: string): Record<string, tf.Tensor>;
  about: Record<string, unknown>;
}

/** One safetensors file of test/oracle. */
export async function openOracle(file: string): Promise<Oracle> {
  await loadBackend({});
  const { tensors, metadata } = decodeSafetensors(readFileSync(new URL(`../oracle/${file}`, import.meta.url)));
  const entry = (name: string) => {
    const found = tensors[name];
    if (found === undefined) throw new Error(`${file} has no tensor ${name}`);
    return found;
  };
  return {
    values: (name) => entry(name).data as Float32Array,
    shape: (name) => entry(name).shape,
    tensors: (prefix) =>
      Object.fromEntries(
        Object.keys(tensors)
          .filter((name) => name.startsWith(prefix))
          .map((name) => [name.slice(prefix.length), tf.tensor(entry(name).data as Float32Array, entry(name).shape, 'float32')]),
      ),
    about: JSON.parse(metadata['oracle'] ?? '{}') as Record<string, unknown>,
  };
}

/** Largest absolute difference, divided by the largest absolute reference value. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, ${expected.length} expected`);
  let difference = 0;
  let scale = 0;
  for (let index = 0; index < expected.length; index++) {
    difference = Math.max(difference, Math.abs(actual[index]! - expected[index]!));
    scale = Math.max(scale, Math.abs(expected[index]!));
  }
  return difference / Math.max(scale, 1e-30);
}
