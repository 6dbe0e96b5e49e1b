// Random numbers that are a pure function of (seed, label, position): Philox4x32-10, a counter-based generator (Salmon
// et al. 2011). A shard, an epoch or a resampling names its own stream, so no order of execution, restart or split into
// shards can change a draw. Pure numbers, no I/O: model/, data/ and the browser share it.

const multiplier0 = 0xd2511f53;
const multiplier1 = 0xcd9e8d57;
const weyl0 = 0x9e3779b9;
const weyl1 = 0xbb67ae85;
const twoTo32 = 2 ** 32;

/**
 * One block of Philox4x32-10: four 32-bit words out of a 128-bit counter and a 64-bit key.
 *
 * @example
 * philox4x32([0, 0, 0, 0], [0, 0], out); // out: 6627e8d5 e169c58d bc57ac4c 9b00dbd8
 */
export function philox4x32(counter: readonly [number, number, number, number], key: readonly [number, number], out: Uint32Array): void {
  block(counter[0], counter[1], counter[2], counter[3], key[0], key[1], out);
}

/**
 * An endless stream of random numbers named by a seed and a label. Equal names give equal streams; different names give
 * unrelated ones (`1` and `'1'` are different).
 *
 * @throws RangeError when the seed or a number of the label is not finite.
 * @example
 * const positions = new RandomStream(config.seed, 'positions', shard, prompt).sampleWithoutReplacement(1024, 200);
 */
export class RandomStream {
  private readonly key: readonly [number, number];
  private readonly buffer = new Uint32Array(4);
  private used = 4;
  private blockLow = 0;
  private blockHigh = 0;
  private spareNormal: number | undefined;

  constructor(seed: number, ...label: (string | number)[]) {
    this.key = keyOf([seed, ...label]);
  }

  /** The next 32 bits, in [0, 2³²). */
  nextUint32(): number {
    if (this.used === 4) this.refill();
    return this.buffer[this.used++]!;
  }

  /** Uniform in [0, 1), with all 53 bits of a double. */
  uniform(): number {
    const high = this.nextUint32() >>> 5;
    const low = this.nextUint32() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** Standard normal, by Box–Muller. */
  normal(): number {
    if (this.spareNormal !== undefined) {
      const spare = this.spareNormal;
      this.spareNormal = undefined;
      return spare;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.spareNormal = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Uniform over 0 … n − 1 without bias, for n in [1, 2³²]. Throws RangeError for any other n. */
  integer(n: number): number {
    if (!Number.isInteger(n) || n < 1 || n > twoTo32) throw new RangeError(`integer(${n}): n must be a whole number in [1, 2^32]`);
    if (n === twoTo32) return this.nextUint32();
    // Lemire's multiply-and-reject: the division is needed only in the rare case that could be biased.
    let draw = this.nextUint32();
    let low = Math.imul(draw, n) >>> 0;
    if (low < n) {
      const biased = (twoTo32 - n) % n;
      while (low < biased) {
        draw = this.nextUint32();
        low = Math.imul(draw, n) >>> 0;
      }
    }
    return multiplyHigh(draw, n) >>> 0;
  }

  /** A uniformly random order of 0 … n − 1 (Fisher–Yates). */
  permutation(n: number): Uint32Array {
    const order = new Uint32Array(n);
    for (let i = 0; i < n; i++) order[i] = i;
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const moved = order[i]!;
      order[i] = order[j]!;
      order[j] = moved;
    }
    return order;
  }

  /** k different numbers of 0 … n − 1, every subset equally likely, in ascending order. Throws RangeError when k > n. */
  sampleWithoutReplacement(n: number, k: number): Uint32Array {
    if (!Number.isInteger(k) || k < 0 || k > n) throw new RangeError(`sampleWithoutReplacement(${n}, ${k}): k must be a whole number in [0, n]`);
    // Floyd's algorithm: k draws and k entries of memory, however large n is.
    const chosen = new Set<number>();
    for (let last = n - k; last < n; last++) {
      const candidate = this.integer(last + 1);
      chosen.add(chosen.has(candidate) ? last : candidate);
    }
    return Uint32Array.from(chosen).sort();
  }

  private refill(): void {
    block(this.blockLow, this.blockHigh, 0, 0, this.key[0], this.key[1], this.buffer);
    this.used = 0;
    this.blockLow = (this.blockLow + 1) >>> 0;
    if (this.blockLow === 0) this.blockHigh = (this.blockHigh + 1) >>> 0;
  }
}

/** The 64-bit key of a name: its canonical text, absorbed 8 UTF-16 units at a time by Philox itself. */
function keyOf(name: (string | number)[]): [number, number] {
  for (const part of name) {
    if (typeof part === 'number' && !Number.isFinite(part)) throw new RangeError(`${part} cannot name a random stream`);
  }
  const text = JSON.stringify(name);
  const state = new Uint32Array(4);
  let key0 = text.length;
  let key1 = 0x73616566; // Keeps the key of a short name away from keys used elsewhere.
  const word = (at: number): number => ((text.charCodeAt(at) || 0) | ((text.charCodeAt(at + 1) || 0) << 16)) >>> 0;
  for (let at = 0; at < text.length; at += 8) {
    block(word(at), word(at + 2), word(at + 4), word(at + 6), key0, key1, state);
    key0 = (state[0]! ^ state[2]!) >>> 0;
    key1 = (state[1]! ^ state[3]!) >>> 0;
  }
  return [key0, key1];
}

function block(c0: number, c1: number, c2: number, c3: number, k0: number, k1: number, out: Uint32Array): void {
  for (let round = 0; round < 10; round++) {
    const high0 = multiplyHigh(multiplier0, c0);
    const low0 = Math.imul(multiplier0, c0);
    const high1 = multiplyHigh(multiplier1, c2);
    const low1 = Math.imul(multiplier1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + weyl0) | 0;
    k1 = (k1 + weyl1) | 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** Upper 32 bits (as int32) of the product of two unsigned 32-bit numbers: JavaScript has only the lower ones, in Math.imul. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) >>> 0;
  const cross = (Math.imul(aLow, bHigh) + (middle & 0xffff)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (cross >>> 16)) | 0;
}
