// Where memory begins, which JavaScript does not say, where workers/ has registered who does (it is compiled with the SAE
// kernel): writing past the system's cache wants whole pages of memory.

export interface MemoryKernel {
  /** How many bytes into `bytes` the first address is that is a multiple of `alignment`. */
  alignedAt(bytes: Uint8Array, alignment: number): number;
}

let registered: MemoryKernel | undefined;

/** Makes writers use `kernel`; undefined lets them write through the system's cache. */
export function registerMemoryKernel(kernel: MemoryKernel | undefined): void {
  registered = kernel;
}

/** The kernel in use, if any. */
export function memoryKernel(): MemoryKernel | undefined {
  return registered;
}
