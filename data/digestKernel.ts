// Digests by the processor's own instructions, where workers/ has registered them (compiled with the SAE kernel): CRC-32
// several times as fast as zlib's, SHA-256 on a thread of its own. Without them Node's give the same bytes.

/** A SHA-256 under way; made by `createHash`. */
export type NativeHash = object;

export interface DigestKernel {
  crc32(bytes: Uint8Array): number;
  createHash(): NativeHash;
  /** Adds pieces, on another thread; one call at a time. They must not change until it is done. */
  hash(hash: NativeHash, pieces: Uint8Array[]): Promise<void>;
  /** Puts the 32 bytes into `target`. The hash is of no use afterwards. */
  digest(hash: NativeHash, target: Uint8Array): void;
}

let registered: DigestKernel | undefined;

/** Makes digests use `kernel`; undefined sends them back to Node. */
export function registerDigestKernel(kernel: DigestKernel | undefined): void {
  registered = kernel;
}

/** The kernel in use, if any. */
export function digestKernel(): DigestKernel | undefined {
  return registered;
}
