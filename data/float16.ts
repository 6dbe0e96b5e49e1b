// Activations rest on disk in half precision: half the bytes, and far finer than the SAE's own error. JavaScript on
// Node 20 has no Float16Array, so the conversion is here: rounding to nearest even, as NumPy, PyTorch and the hardware do.

/** Half precision's largest finite number. */
export const maxFloat16 = 65_504;

/**
 * Rounds each number to the nearest half-precision one, ties to even. What is too large becomes ±Infinity and is counted
 * in `overflows` (an Infinity or NaN of the source is not). `target` is filled and returned when given.
 *
 * @throws RangeError when `target` is shorter than `source`.
 */
export function toFloat16(source: Float32Array, target: Uint16Array = new Uint16Array(source.length)): { values: Uint16Array; overflows: number } {
  if (target.length < source.length) throw new RangeError(`${source.length} numbers do not fit a target of ${target.length}`);
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  let overflows = 0;
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const row = word >>> 23; // sign and exponent
    const shift = shifts[row]!;
    const significand = (word & 0x7fffff) | hiddenBits[row]!;
    // Adding just below half of the last kept place, plus that place's own bit, rounds ties to even; the carry may run
    // into the exponent, which is where it belongs.
    const kept = significand >>> shift;
    const rounded = (significand + roundings[row]! + (kept & 1)) >>> shift;
    let half = bases[row]! + rounded;
    const magnitude = word & 0x7fffffff;
    if (magnitude >= overflowFrom) {
      half = ((word >>> 16) & 0x8000) | 0x7c00;
      if (magnitude > infinityBits) half |= 0x200 | ((word >>> 13) & 0x3ff);
      else if (magnitude < infinityBits) overflows++;
    }
    target[i] = half;
  }
  return { values: target, overflows };
}

/** The numbers that half-precision bit patterns stand for, exactly. `target` is filled and returned when given. */
export function fromFloat16(source: Uint16Array, target: Float32Array = new Float32Array(source.length)): Float32Array {
  if (target.length < source.length) throw new RangeError(`${source.length} numbers do not fit a target of ${target.length}`);
  for (let i = 0; i < source.length; i++) target[i] = values[source[i]!]!;
  return target;
}

/** Bits of 65,520: what is as large or larger rounds to infinity. */
const overflowFrom = 0x477ff000;
const infinityBits = 0x7f800000;

// By sign and exponent (9 bits) of a float32: half = base + (significand rounded and shifted right).
const bases = new Uint16Array(512);
const shifts = new Uint8Array(512);
const roundings = new Uint32Array(512);
const hiddenBits = new Uint32Array(512);
for (let row = 0; row < 512; row++) {
  const exponent = (row & 0xff) - 127;
  const sign = (row >>> 8) << 15;
  const subnormal = exponent < -14;
  // Below 2^-25 everything rounds to zero: 25 places to the right nothing of a 24-bit significand is left to round.
  shifts[row] = subnormal ? Math.min(-exponent - 1, 25) : 13;
  bases[row] = subnormal ? sign : sign + ((Math.min(exponent, 16) + 15) << 10);
  hiddenBits[row] = subnormal && exponent > -127 ? 0x800000 : 0;
  roundings[row] = 2 ** (shifts[row]! - 1) - 1;
}

const values = new Float32Array(65_536);
for (let half = 0; half < 65_536; half++) {
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? (fraction === 0 ? Infinity : NaN) : (1 + fraction / 1024) * 2 ** (exponent - 15);
  values[half] = half & 0x8000 ? -magnitude : magnitude;
}
