// The operations for which TensorFlow's own kernel is worth calling past TensorFlow.js, each beside its portable
// form; a test holds that both agree. tfjs-node sends a matrix product through BatchMatMulV2, which copies and runs at
// three quarters of MatMul's speed for the transposed shapes that training is made of.
import * as tf from '@tensorflow/tfjs-core';

interface Attribute {
  name: string;
  type: number;
  value: number | boolean;
}

/** The part of tfjs-node's backend that reaches TensorFlow's kernels by name. */
interface NativeBackend {
  binding: { TF_ATTR_TYPE: number; TF_ATTR_BOOL: number; TF_FLOAT: number };
  executeSingleOutput(operation: string, attributes: Attribute[], inputs: tf.Tensor[]): tf.Tensor;
}

/**
 * a · b, either one transposed first. a [m, k] (or [k, m]), b [k, n] (or [n, k]), float32 → [m, n].
 */
export function matMul(a: tf.Tensor2D, b: tf.Tensor2D, transposeA = false, transposeB = false): tf.Tensor2D {
  const native = nativeBackend();
  if (native === undefined) return matMulPortable(a, b, transposeA, transposeB);
  const { TF_ATTR_TYPE, TF_ATTR_BOOL, TF_FLOAT } = native.binding;
  const attributes = [
    { name: 'T', type: TF_ATTR_TYPE, value: TF_FLOAT },
    { name: 'transpose_a', type: TF_ATTR_BOOL, value: transposeA },
    { name: 'transpose_b', type: TF_ATTR_BOOL, value: transposeB },
  ];
  return native.executeSingleOutput('MatMul', attributes, [a, b]) as tf.Tensor2D;
}

/** `matMul` on any backend. */
export function matMulPortable(a: tf.Tensor2D, b: tf.Tensor2D, transposeA = false, transposeB = false): tf.Tensor2D {
  return tf.matMul(a, b, transposeA, transposeB);
}

function nativeBackend(): NativeBackend | undefined {
  const backend: unknown = tf.getBackend() === 'tensorflow' ? tf.backend() : undefined;
  return backend as NativeBackend | undefined;
}
