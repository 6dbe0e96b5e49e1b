import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromFloat16, largestFloat16, maxFloat16, saturateFloat16, toFloat16 } from '../../data/float16.ts';

const allHalfs = Uint16Array.from({ length: 65_536 }, (_, i) => i);

/** What a half is, straight from IEEE 754. */
function valueOf(half: number): number {
  const sign = half >> 15 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

const finiteMagnitudes = Array.from({ length: 0x7c00 }, (_, half) => valueOf(half));

/** The nearest half by search among all of them; on a tie the one with an even pattern. */
function nearestHalf(value: number): number {
  const magnitude = Math.abs(value);
  const sign = Object.is(value, -0) || value < 0 ? 0x8000 : 0;
  if (magnitude >= 65_520) return sign | 0x7c00;
  let low = 0;
  let high = finiteMagnitudes.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (finiteMagnitudes[middle]! <= magnitude) low = middle;
    else high = middle;
  }
  const above = finiteMagnitudes[low + 1] ?? 65_536;
  const toLow = magnitude - finiteMagnitudes[low]!;
  const toHigh = above - magnitude;
  return sign | (toLow < toHigh || (toLow === toHigh && low % 2 === 0) ? low : low + 1);
}

describe('fromFloat16', () => {
  it('gives the IEEE 754 value of all 65,536 halfs', () => {
    expect(fromFloat16(allHalfs)).toEqual(Float32Array.from(allHalfs, valueOf));
    expect(Object.is(fromFloat16(Uint16Array.of(0x8000))[0], -0)).toBe(true);
  });
});

describe('toFloat16', () => {
  it('gives back all halfs that are numbers, and NaN for NaN', () => {
    const back = toFloat16(fromFloat16(allHalfs));
    for (const half of allHalfs) {
      if (Number.isNaN(valueOf(half))) expect(valueOf(back[half]!)).toBeNaN();
      else if (back[half] !== half) expect.fail(`${half} came back as ${back[half]}`);
    }
  });

  it('rounds the middle of every two neighbours to the even one, and what is next to the middle to its side', () => {
    const middles = Float32Array.from({ length: 0x7bff }, (_, half) => (finiteMagnitudes[half]! + finiteMagnitudes[half + 1]!) / 2);
    const bits = new Uint32Array(middles.buffer);
    const below = new Float32Array(bits.map((word) => word - 1).buffer);
    const above = new Float32Array(bits.map((word) => word + 1).buffer);
    for (const sign of [1, -1]) {
      const offset = sign < 0 ? 0x8000 : 0;
      const turned = (numbers: Float32Array): Uint16Array => toFloat16(numbers.map((number) => sign * number));
      expect(turned(middles)).toEqual(Uint16Array.from(middles, (_, half) => offset + half + (half % 2)));
      expect(turned(below)).toEqual(Uint16Array.from(middles, (_, half) => offset + half));
      expect(turned(above)).toEqual(Uint16Array.from(middles, (_, half) => offset + half + 1));
    }
  });

  it('rounds any float32 to the nearest half', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), (word) => {
        const number = new Float32Array(Uint32Array.of(word).buffer);
        fc.pre(!Number.isNaN(number[0]));
        expect(toFloat16(number)[0]).toBe(nearestHalf(number[0]!));
      }),
      { numRuns: 20_000 },
    );
  });

  it('makes infinite what is too large, and nothing else', () => {
    const source = Float32Array.of(maxFloat16, 65_519.99, 65_520, -70_000, 3e38, Infinity, -Infinity, Number.NaN, -1);
    expect([...fromFloat16(toFloat16(source))]).toEqual([maxFloat16, maxFloat16, Infinity, -Infinity, Infinity, Infinity, -Infinity, Number.NaN, -1]);
  });

  it('fills a given target, from a view too', () => {
    const view = Float32Array.of(1, -2, 0.5);
    const target = new Uint16Array(5);
    expect(toFloat16(view.subarray(1), target)).toBe(target);
    expect([...target]).toEqual([0xc000, 0x3800, 0, 0, 0]);
    expect(() => toFloat16(view, new Uint16Array(2))).toThrow(RangeError);
    expect(() => fromFloat16(target, new Float32Array(4))).toThrow(RangeError);
  });
});

describe('largestFloat16', () => {
  it('is the largest magnitude, whatever its sign, and shows a number that is not finite', () => {
    expect(largestFloat16(toFloat16(Float32Array.of(1, -3, 2)))).toBe(3);
    expect(largestFloat16(toFloat16(Float32Array.of(1, -Infinity, 2)))).toBe(Infinity);
    expect(largestFloat16(toFloat16(Float32Array.of(1, Number.NaN, Infinity)))).toBeNaN();
    expect(largestFloat16(new Uint16Array(0))).toBe(0);
  });
});

describe('saturateFloat16', () => {
  it('makes the largest number of what was finite and became infinite, counts it, and leaves the rest', () => {
    const source = Float32Array.of(maxFloat16, 65_520, -70_000, 3e38, Infinity, -Infinity, Number.NaN, -1);
    const values = toFloat16(source);
    expect(saturateFloat16(source, values)).toBe(3);
    expect([...fromFloat16(values)]).toEqual([maxFloat16, maxFloat16, -maxFloat16, maxFloat16, Infinity, -Infinity, Number.NaN, -1]);
  });
});
