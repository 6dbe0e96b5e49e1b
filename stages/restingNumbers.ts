// Activations as they will rest on disk. What the dtype can't hold is refused, or stored as the largest number it holds and
// counted, as the configuration says; a NaN or an infinity of the model's own is always refused.
import { float16Values, largestFloat16, maxFloat16, saturateFloat16, toFloat16 } from '../data/float16.ts';
import { halfKernel } from '../data/halfKernel.ts';
import type { ActivationsConfig } from '../schemas/config.ts';

export class RestingNumbers {
  /** Finite numbers so far that were beyond the dtype, and are its largest now. */
  overflows = 0;
  /** The largest magnitude so far, as it rests. */
  largest = 0;
  private readonly config: Pick<ActivationsConfig, 'dtype' | 'onOverflow'>;
  private halfs = new Uint16Array(0);

  constructor(config: Pick<ActivationsConfig, 'dtype' | 'onOverflow'>) {
    this.config = config;
  }

  /**
   * The bytes of `values`, good until the next call.
   *
   * @param refuse makes what is thrown where the dtype does not hold a number: its index in `values`, and how many there are
   */
  rest(values: Float32Array, refuse: (index: number, count: number) => Error): Uint8Array {
    if (this.config.dtype === 'float32') {
      const bad = values.findIndex((value) => !Number.isFinite(value));
      if (bad >= 0) throw refuse(bad, values.filter((value) => !Number.isFinite(value)).length);
      for (const value of values) if (Math.abs(value) > this.largest) this.largest = Math.abs(value);
      return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    }
    if (this.halfs.length !== values.length) this.halfs = new Uint16Array(values.length);
    let largest = narrow(values, this.halfs);
    if (!(largest <= maxFloat16)) {
      this.overflows += this.saturated(values, refuse);
      largest = maxFloat16;
    }
    this.largest = Math.max(this.largest, largest);
    return new Uint8Array(this.halfs.buffer);
  }

  private saturated(values: Float32Array, refuse: (index: number, count: number) => Error): number {
    const ofTheModel = values.findIndex((value) => !Number.isFinite(value));
    if (ofTheModel >= 0) throw refuse(ofTheModel, values.filter((value) => !Number.isFinite(value)).length);
    const overflows = saturateFloat16(values, this.halfs);
    if (this.config.onOverflow === 'fail') throw refuse(values.findIndex((value) => Math.abs(value) > maxFloat16), overflows);
    return overflows;
  }
}

/** Rounds to half precision; returns the largest magnitude. */
function narrow(values: Float32Array, halfs: Uint16Array): number {
  const kernel = halfKernel();
  return kernel === undefined ? largestFloat16(toFloat16(values, halfs)) : float16Values[kernel.narrow(values, halfs)]!;
}
