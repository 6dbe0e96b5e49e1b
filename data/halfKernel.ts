// The processor's own conversion between float32 and half precision, where workers/ has registered it (it is compiled with
// the SAE kernel): a batch is then assembled several times as fast. Without it data/float16.ts gives the same numbers.

export interface HalfKernel {
  /**
   * Rows of blocks of half-precision numbers, times `scale` and rounded once, into `target` [rows · d].
   *
   * @param rows for each row its block and its place there, [2 · rows]
   */
  widen(blocks: readonly Uint16Array[], rows: Uint32Array, d: number, scale: number, target: Float32Array): void;
  /**
   * Rounds rows of d numbers: row r of `source` becomes row places[r] of `target`.
   *
   * @returns the bits of the largest magnitude, above 0x7bff where something is not finite
   */
  narrow(source: Float32Array, d: number, places: Uint32Array, target: Uint16Array): number;
}

let registered: HalfKernel | undefined;

/** Makes conversions use `kernel`; undefined sends them back to JavaScript. */
export function registerHalfKernel(kernel: HalfKernel | undefined): void {
  registered = kernel;
}

/** The kernel in use, if any. */
export function halfKernel(): HalfKernel | undefined {
  return registered;
}
