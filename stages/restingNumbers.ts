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

  constructor(config: Pick<ActivationsConfig, 'dtype' | 'onOverflow'>) {
    this.config = config;
  }

  /**
   * Puts rows of `values` [places · d] to rest in `target`, row r as its row places[r].
   *
   * @param refuse makes what is thrown where the dtype does not hold a number: its index in `values`, and how many there are
   */
  rest(values: Float32Array, d: number, places: Uint32Array, target: Uint8Array, refuse: (index: number, count: number) => Error): void {
    if (this.config.dtype === 'float32') return this.restAsTheyAre(values, d, places, target, refuse);
    const halfs = new Uint16Array(target.buffer, target.byteOffset, target.length / 2);
    let largest = narrow(values, d, places, halfs);
    if (!(largest <= maxFloat16)) {
      const { saturated, overflows } = this.saturated(values, refuse);
      scatter(saturated, d, places, halfs);
      this.overflows += overflows;
      largest = maxFloat16;
    }
    this.largest = Math.max(this.largest, largest);
  }

  private restAsTheyAre(values: Float32Array, d: number, places: Uint32Array, target: Uint8Array, refuse: (index: number, count: number) => Error): void {
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw refuse(bad, values.filter((value) => !Number.isFinite(value)).length);
    for (const value of values) if (Math.abs(value) > this.largest) this.largest = Math.abs(value);
    scatter(values, d, places, new Float32Array(target.buffer, target.byteOffset, target.length / 4));
  }

  private saturated(values: Float32Array, refuse: (index: number, count: number) => Error): { saturated: Uint16Array; overflows: number } {
    const ofTheModel = values.findIndex((value) => !Number.isFinite(value));
    if (ofTheModel >= 0) throw refuse(ofTheModel, values.filter((value) => !Number.isFinite(value)).length);
    const saturated = toFloat16(values);
    const overflows = saturateFloat16(values, saturated);
    if (this.config.onOverflow === 'fail') throw refuse(values.findIndex((value) => Math.abs(value) > maxFloat16), overflows);
    return { saturated, overflows };
  }
}

/** Rounds rows to half precision, each into its place; returns the largest magnitude. */
function narrow(values: Float32Array, d: number, places: Uint32Array, target: Uint16Array): number {
  const kernel = halfKernel();
  if (kernel !== undefined) return float16Values[kernel.narrow(values, d, places, target)]!;
  const halfs = toFloat16(values);
  scatter(halfs, d, places, target);
  return largestFloat16(halfs);
}

function scatter<Numbers extends Uint16Array | Float32Array>(rows: Numbers, d: number, places: Uint32Array, target: Numbers): void {
  places.forEach((place, row) => target.set(rows.subarray(row * d, (row + 1) * d), place * d));
}
