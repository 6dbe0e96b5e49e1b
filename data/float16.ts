// Activations rest on disk in half precision: half the bytes, and far finer than the SAE's own error. JavaScript on
// Node 20 has no Float16Array, so the conversion is here: rounding to nearest even, as NumPy, PyTorch and the hardware do.

/** Half precision's largest finite number. */
export const maxFloat16 = 65_504;

/**
 * Rounds each number to the nearest half-precision one, ties to even. What is too large becomes ±Infinity. `target` is
 * filled and returned when given.
 *
 * @throws RangeError when `target` is shorter than `source`.
 */
export function toFloat16(source: Float32Array, target: Uint16Array = new Uint16Array(source.length)): Uint16Array {
  if (target.length < source.length) throw new RangeError(`${source.length} numbers do not fit a target of ${target.length}`);
  const bits = new Int32Array(source.buffer, source.byteOffset, source.length);
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
    } else {
      half = magnitude > infinity ? 0x7e00 : 0x7c00;
    }
    target[i] = ((word >>> 16) & 0x8000) | half;
  }
  return target;
}

/** The numbers that half-precision bit patterns stand for, exactly. `target` is filled and returned when given. */
export function fromFloat16(source: Uint16Array, target: Float32Array = new Float32Array(source.length)): Float32Array {
  if (target.length < source.length) throw new RangeError(`${source.length} numbers do not fit a target of ${target.length}`);
  for (let i = 0; i < source.length; i++) target[i] = float16Values[source[i]!]!;
  return target;
}

/** The largest magnitude of half-precision bit patterns: Infinity or NaN where any is, 0 of none. */
export function largestFloat16(values: Uint16Array): number {
  let largest = 0;
  // Without their sign, patterns are in the order of the numbers, Infinity and NaN above all.
  for (let i = 0; i < values.length; i++) {
    const magnitude = values[i]! & 0x7fff;
    if (magnitude > largest) largest = magnitude;
  }
  return float16Values[largest]!;
}

/**
 * Puts ±65,504 in the place of the infinities that finite numbers of `source` became in `values`.
 *
 * @returns how many there were
 */
export function saturateFloat16(source: Float32Array, values: Uint16Array): number {
  let overflows = 0;
  for (let i = 0; i < source.length; i++) {
    if ((values[i]! & 0x7fff) !== 0x7c00 || !Number.isFinite(source[i])) continue;
    values[i]! -= 1;
    overflows++;
  }
  return overflows;
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

/** What each half-precision bit pattern stands for. */
export const float16Values = new Float32Array(65_536);
for (let half = 0; half < 65_536; half++) {
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : exponent === 31 ? (fraction === 0 ? Infinity : NaN) : (1 + fraction / 1024) * 2 ** (exponent - 15);
  float16Values[half] = half & 0x8000 ? -magnitude : magnitude;
}
