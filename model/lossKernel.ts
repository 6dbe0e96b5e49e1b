// The processor's own cross-entropy of tokens, where workers/ has registered it (it is compiled with the SAE kernel): the
// logits are then never in memory. Without it unembedding.ts computes the same on tensors, a chunk of rows at a time.

export interface LossKernel {
  /**
   * Cross-entropy of each row of final [n, d] under embedding [vocabRows, d], into `out` [n], nats. A row's loss does not
   * depend on the rows beside it.
   *
   * @param targets rows of the embedding, [n]
   * @throws TypeError where a target is none, or lengths don't fit.
   */
  tokenLosses(final: Float32Array, embedding: Float32Array, targets: Int32Array, d: number, out: Float32Array): void;
}

let registered: LossKernel | undefined;

/** Makes losses use `kernel`; undefined sends them back to tensors. */
export function registerLossKernel(kernel: LossKernel | undefined): void {
  registered = kernel;
}

/** The kernel in use, if any. */
export function lossKernel(): LossKernel | undefined {
  return registered;
}
