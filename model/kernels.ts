// The operations for which TensorFlow's own kernel is worth calling past TensorFlow.js, each beside its portable
// form; a test holds that both agree. tfjs-node sends a matrix product through BatchMatMulV2, which copies and runs at
// three quarters of MatMul's speed for the transposed shapes that training is made of; and TensorFlow.js's operations
// make a new tensor each, where TensorFlow's Adam updates parameter and moments in place, in one pass.
import * as tf from '@tensorflow/tfjs-core';

interface Attribute {
  name: string;
  type: number;
  value: number | boolean | string | number[];
}

/** The part of tfjs-node's backend that reaches TensorFlow's kernels by name. */
interface NativeBackend {
  binding: {
    TF_ATTR_TYPE: number;
    TF_ATTR_BOOL: number;
    TF_ATTR_STRING: number;
    TF_ATTR_SHAPE: number;
    TF_FLOAT: number;
    executeOp(operation: string, attributes: Attribute[], inputIds: number[], outputs: number): { id: number; dtype: number; shape: number[] }[];
    deleteTensor(id: number): void;
  };
  executeSingleOutput(operation: string, attributes: Attribute[], inputs: tf.Tensor[]): tf.Tensor;
  getInputTensorIds(tensors: tf.Tensor[]): number[];
  createOutputTensor(output: { id: number; dtype: number; shape: number[] }): tf.Tensor;
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
  return transposeB && !transposeA && tf.getBackend() === 'wasm' ? turnedProduct(a, b) : tf.matMul(a, b, transposeA, transposeB);
}

/**
 * a · bᵀ by turning the smaller factor round first: WebAssembly's own product with a transposed one takes ten to forty
 * times as long. a [m, k], b [n, k] → [m, n].
 */
function turnedProduct(a: tf.Tensor2D, b: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => (b.size <= a.size ? tf.matMul(a, tf.transpose(b)) : tf.transpose(tf.matMul<tf.Tensor2D>(b, tf.transpose(a)))));
}

/** A parameter with its moments: all of one shape, float32. */
export interface AdamState {
  parameter: tf.Tensor;
  m: tf.Tensor;
  v: tf.Tensor;
}

/** One step's numbers, bias correction included. */
export interface AdamCoefficients {
  beta1: number;
  beta2: number;
  /** learning rate · √(1 − β2ᵗ) / (1 − β1ᵗ) */
  stepSize: number;
  /** ε · √(1 − β2ᵗ) */
  epsilon: number;
}

/**
 * m ← β1 m + (1 − β1) g;  v ← β2 v + (1 − β2) g²;  parameter ← parameter − stepSize · m / (√v + epsilon).
 * Disposes the tensors of `state`: natively the new ones are their memory, unless a clone still needs it.
 */
export function adamUpdate(state: AdamState, gradient: tf.Tensor, coefficients: AdamCoefficients): AdamState {
  const native = nativeBackend();
  return native === undefined ? adamUpdatePortable(state, gradient, coefficients) : adamUpdateNative(native, state, gradient, coefficients);
}

/** `adamUpdate` on any backend. */
export function adamUpdatePortable(state: AdamState, gradient: tf.Tensor, { beta1, beta2, stepSize, epsilon }: AdamCoefficients): AdamState {
  const [parameter, m, v] = tf.tidy(() => {
    const m = tf.add(tf.mul(state.m, beta1), tf.mul(gradient, 1 - beta1));
    const v = tf.add(tf.mul(state.v, beta2), tf.mul(tf.square(gradient), 1 - beta2));
    return [tf.sub(state.parameter, tf.div(tf.mul(m, stepSize), tf.add(tf.sqrt(v), epsilon))), m, v];
  }) as [tf.Tensor, tf.Tensor, tf.Tensor];
  tf.dispose([state.parameter, state.m, state.v]);
  return { parameter, m, v };
}

/** Tensors become resource variables for the length of one ResourceApplyAdam: no copy, and nothing outlives the call. */
function adamUpdateNative(native: NativeBackend, state: AdamState, gradient: tf.Tensor, { beta1, beta2, stepSize, epsilon }: AdamCoefficients): AdamState {
  const { binding } = native;
  const type = (name: string) => ({ name, type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT });
  const off = (name: string) => ({ name, type: binding.TF_ATTR_BOOL, value: false });
  const toVariable = (tensor: tf.Tensor, name: string): number => {
    // of a fixed set of names: TensorFlow keeps one kernel for each combination of attributes it has seen
    const names = { name: 'shared_name', type: binding.TF_ATTR_STRING, value: `saeflow.adam.${name}` };
    const container = { name: 'container', type: binding.TF_ATTR_STRING, value: 'saeflow' };
    const shape = { name: 'shape', type: binding.TF_ATTR_SHAPE, value: tensor.shape };
    const [handle] = binding.executeOp('VarHandleOp', [type('dtype'), shape, names, container], [], 1);
    binding.executeOp('AssignVariableOp', [type('dtype')], [handle!.id, ...native.getInputTensorIds([tensor])], 0);
    tensor.dispose();
    return handle!.id;
  };
  const toTensor = (handle: number): tf.Tensor => {
    const [value] = binding.executeOp('ReadVariableOp', [type('dtype')], [handle], 1);
    binding.executeOp('DestroyResourceOp', [off('ignore_lookup_error')], [handle], 0);
    binding.deleteTensor(handle);
    return native.createOutputTensor(value!);
  };
  // β's powers of 0, because the bias correction is in stepSize and epsilon: TensorFlow would work it out in float32
  const scalars = [0, 0, stepSize, beta1, beta2, epsilon].map((value) => tf.scalar(value));
  const handles = [toVariable(state.parameter, 'parameter'), toVariable(state.m, 'm'), toVariable(state.v, 'v')];
  binding.executeOp('ResourceApplyAdam', [type('T'), off('use_locking'), off('use_nesterov')], [...handles, ...native.getInputTensorIds([...scalars, gradient])], 0);
  tf.dispose(scalars);
  const [parameter, m, v] = handles.map(toTensor);
  return { parameter: parameter!, m: m!, v: v! };
}

function nativeBackend(): NativeBackend | undefined {
  const backend: unknown = tf.getBackend() === 'tensorflow' ? tf.backend() : undefined;
  return backend as NativeBackend | undefined;
}
