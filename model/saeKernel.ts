// The native kernel of the sparse SAE step as the model sees it: what native/ exports to JavaScript, and a place to
// register it, as TensorFlow.js does with its backends. Nothing registered: trainings run on tensors.

/** Opaque state of one training inside the kernel. */
export interface SaeKernelHandle {
  readonly brand: 'SaeKernelHandle';
}

export interface SaeKernel {
  /** Instruction set in use: `avx512bf16`, `avx512`, `avx2` or `portable`. */
  readonly isa: string;
  /** Threads of a step; the results do not depend on it. */
  readonly threads: number;
  /** Room for a training of `features` features on vectors of `d` components, all zeros. */
  create(d: number, features: number): SaeKernelHandle;
  /** Copies arrays of `which` (0 weights, 1 first moments, 2 second moments) in: W_enc [d, F], b_enc [F], W_dec [F, d], b_dec [d]. */
  load(handle: SaeKernelHandle, which: 0 | 1 | 2, W_enc: Float32Array, b_enc: Float32Array, W_dec: Float32Array, b_dec: Float32Array): void;
  /** Copies them out again. */
  save(handle: SaeKernelHandle, which: 0 | 1 | 2, W_enc: Float32Array, b_enc: Float32Array, W_dec: Float32Array, b_dec: Float32Array): void;
  /**
   * One training step on x [n, d].
   *
   * @param sparse true: only active pairs behind the encoder; false: whole matrices
   * @param settings [learning rate, λ, factor of the mean squared error (1 or d), β₁, β₂, ε, 1-based step]
   * @param fired vectors that fired each feature, [F], written
   * @param out [loss, mean squared error, L1, active pairs, index of a parameter with a non-finite gradient or −1], written
   */
  step(handle: SaeKernelHandle, x: Float32Array, sparse: boolean, settings: Float64Array, fired: Uint32Array, out: Float64Array): void;
  /** Loss of each vector of x [n, d] into out [n]. */
  losses(handle: SaeKernelHandle, x: Float32Array, l1Coefficient: number, squareScale: number, out: Float32Array): void;
  /** Frees what `create` made. */
  release(handle: SaeKernelHandle): void;
}

let registered: SaeKernel | undefined;

/** Makes trainings use `kernel`; undefined sends them back to tensors. */
export function registerSaeKernel(kernel: SaeKernel | undefined): void {
  registered = kernel;
}

/** The kernel in use, if any. */
export function saeKernel(): SaeKernel | undefined {
  return registered;
}
