import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { philox4x32, RandomStream } from '../../schemas/random.ts';

const hex = (words: Uint32Array): string => [...words].map((word) => word.toString(16).padStart(8, '0')).join(' ');

describe('philox4x32', () => {
  it.each([
    [[0, 0, 0, 0], [0, 0], '6627e8d5 e169c58d bc57ac4c 9b00dbd8'],
    [[0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff], [0xffffffff, 0xffffffff], '408f276d 41c83b0e a20bc7c6 6d5451fd'],
    [[0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], 'd16cfe09 94fdcceb 5001e420 24126ea1'],
  ] as const)('gives the published answer for counter %j, key %j', (counter, key, expected) => {
    const out = new Uint32Array(4);
    philox4x32(counter, key, out);
    expect(hex(out)).toBe(expected);
  });
});

describe('RandomStream', () => {
  it('keeps its numbers for ever: artifacts depend on them', () => {
    const stream = new RandomStream(1, 'golden', 7);
    expect(hex(Uint32Array.from({ length: 6 }, () => stream.nextUint32()))).toBe('736ef0fc 5da31f4f 59168103 773ce8ad cdc991d0 f7eb7e56');
    expect([...new RandomStream(2357, 'permutation').permutation(8)]).toEqual([6, 2, 5, 1, 3, 7, 0, 4]);
    expect([...new RandomStream(2357, 'sample').sampleWithoutReplacement(1000, 5)]).toEqual([491, 583, 620, 680, 687]);
  });

  it('is named by its seed and every part of its label, and by their types', () => {
    const names: [number, ...(string | number)[]][] = [[1], [2], [1, 'a'], [1, 'a', 'b'], [1, 'ab'], [1, 'a', 1], [1, 'a', '1'], [1, 1, 'a'], [1, 'aaaaaaaaaaaaaaaaaaa'], [1, 'aaaaaaaaaaaaaaaaaaaa']];
    const first = names.map((name) => hex(Uint32Array.of(new RandomStream(...name).nextUint32(), new RandomStream(...name).nextUint32())));
    expect(new Set(first).size).toBe(names.length);
    expect(() => new RandomStream(Number.NaN)).toThrow(RangeError);
  });

  it('gives uniform numbers in [0, 1) with the right mean, variance and bits', () => {
    const stream = new RandomStream(3, 'uniform');
    const values = Array.from({ length: 100_000 }, () => stream.uniform());
    expect(Math.min(...values.slice(0, 50_000))).toBeGreaterThanOrEqual(0);
    expect(Math.max(...values.slice(0, 50_000))).toBeLessThan(1);
    expect(mean(values)).toBeCloseTo(0.5, 2);
    expect(mean(values.map((value) => (value - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
    expect(values.some((value) => (value * 2 ** 53) % 2 === 1)).toBe(true);
  });

  it('gives normal numbers with the moments of N(0, 1)', () => {
    const stream = new RandomStream(4, 'normal');
    const values = Array.from({ length: 200_000 }, () => stream.normal());
    expect(mean(values)).toBeCloseTo(0, 1.5);
    expect(mean(values.map((value) => value ** 2))).toBeCloseTo(1, 1.5);
    expect(mean(values.map((value) => value ** 4))).toBeCloseTo(3, 0.5);
  });

  it('draws integers of every size without bias', () => {
    const stream = new RandomStream(5, 'integer');
    const counts = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) counts[stream.integer(7)]!++;
    const chiSquare = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
    expect(chiSquare).toBeLessThan(22.5); // 99.9 % point of chi-square with 6 degrees of freedom
    // With n = 3/4 · 2³² a modulo would give the first third twice as often.
    const large = 3 * 2 ** 30;
    const low = Array.from({ length: 30_000 }, () => stream.integer(large)).filter((value) => value < 2 ** 30).length;
    expect(low / 30_000).toBeCloseTo(1 / 3, 1.7);
    expect(stream.integer(1)).toBe(0);
    expect(stream.integer(2 ** 32)).toBeLessThan(2 ** 32);
    expect(() => stream.integer(0)).toThrow(RangeError);
    expect(() => stream.integer(1.5)).toThrow(RangeError);
  });

  it('permutes: each number once, every order of three equally often', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(300), (seed, n) => {
        expect([...new RandomStream(seed).permutation(n)].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      }),
    );
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 6_000; seed++) {
      const order = new RandomStream(seed, 'order').permutation(3).join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    for (const count of counts.values()) expect(Math.abs(count - 1_000)).toBeLessThan(150);
  });

  it('samples k different numbers in ascending order, each equally often', () => {
    fc.assert(
      fc.property(fc.nat(), fc.integer({ min: 0, max: 400 }), fc.double({ min: 0, max: 1, noNaN: true }), (seed, n, share) => {
        const k = Math.floor(share * n);
        const sample = [...new RandomStream(seed).sampleWithoutReplacement(n, k)];
        expect(sample).toHaveLength(k);
        sample.forEach((value, i) => expect(value).toBeGreaterThan(i === 0 ? -1 : sample[i - 1]!));
        expect(sample.at(-1) ?? 0).toBeLessThan(Math.max(n, 1));
      }),
    );
    const counts = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 10_000; seed++) for (const value of new RandomStream(seed, 'sample').sampleWithoutReplacement(10, 3)) counts[value]!++;
    for (const count of counts) expect(Math.abs(count - 3_000)).toBeLessThan(250);
    expect(() => new RandomStream(1).sampleWithoutReplacement(3, 4)).toThrow(RangeError);
  });
});

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
