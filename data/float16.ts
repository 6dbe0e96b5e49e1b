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
    const magnitude = word & 0x7fffffff;
    let half: number;
    if (magnitude < smallestNormal) {
      // Half's subnormals are the multiples of 2^-24, and so are the float32 numbers just above 0.5: adding 0.5 rounds.
      sum[0] = Math.abs(source[i]!) + 0.5;
      half = sumBits[0]! - bitsOfHalf;
    } else if (magnitude < overflowFrom) {
      // Just below half of the last kept place, plus that place's own bit, rounds ties to even; a carry runs into the
      // exponent, which is where it belongs.
      half = (magnitude - exponentGap + 0xfff + ((magnitude >>> 13) & 1)) >>> 13;
    } else if (magnitude > infinity) {
      half = 0x7e00;
    } else {
      half = 0x7c00;
      if (magnitude < infinity) overflows++;
    }
    target[i] = ((word >>> 16) & 0x8000) | half;
  }
  return { values: target, overflows };
}

/** The numbers that half-precision bit patterns stand for, exactly. `target` is filled and returned when given. */
export function fromFloat16(source: Uint16Array, target: Float32Array = new Float32Array(source.length)): Float32Array {
  if (target.length < source.length) throw new RangeError(`${source.length} numbers do not fit a target of ${target.length}`);
  for (let i = 0; i < source.length; i++) target[i] = values[source[i]!]!;
  return target;
}

// Bit patterns of float32 numbers: 2^-14; 65,520, from which on everything rounds to infinity; infinity; 0.5.
const smallestNormal = 0x38800000;
const overflowFrom = 0x477ff000;
const infinity = 0x7f800000;
const bitsOfHalf = 0x3f000000;
/** The exponents' biases are 127 and 15. */
const exponentGap = (127 - 15) << 23;

const sum = new Float32Array(1);
const sumBits = new Uint32Array(sum.buffer);

const values = new Float32Array(65_536);
for (let half = 0; half < 65_536; half++) {
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? (fraction === 0 ? Infinity : NaN) : (1 + fraction / 1024) * 2 ** (exponent - 15);
  values[half] = half & 0x8000 ? -magnitude : magnitude;
}
