// The processor's conversion against the portable one, bit by bit.
import { afterEach, expect, it } from 'vitest';
import { assembler } from '../../data/batchAssembly.ts';
import { float16Values, fromFloat16, largestFloat16, toFloat16 } from '../../data/float16.ts';
import { registerHalfKernel } from '../../data/halfKernel.ts';
import { RandomStream } from '../../schemas/random.ts';
import { openSaeKernel } from '../../workers/saeKernel.ts';

/** Not on every processor: there the portable conversion is all there is. */
const half = openSaeKernel(2, {})?.half;
afterEach(() => registerHalfKernel(undefined));

it('is left out where the portable instruction set is asked for', () => {
  expect(openSaeKernel(1, { SAEFLOW_SAE_KERNEL: 'portable' })?.half).toBeUndefined();
});

it.runIf(half !== undefined)('rounds as the portable conversion does, every tie and every neighbour of one, in any length', () => {
  const finite = Uint16Array.from({ length: 0x7c00 }, (_, bits) => bits);
  const exact = new Uint32Array(fromFloat16(finite).buffer);
  const next = new Uint32Array(fromFloat16(finite.map((bits) => bits + 1)).buffer);
  const middles = exact.map((word, bits) => (bits === 0x7bff ? 0x477ff000 : word + Math.floor((next[bits]! - word) / 2)));
  const words = [exact, middles, middles.map((word) => word + 1), middles.map((word) => Math.max(0, word - 1))].flatMap((part) => [...part, ...part.map((word) => word | 0x80000000)]);
  const numbers = new Float32Array(Uint32Array.from(words).buffer);
  for (const length of [numbers.length, 65_536, 65_537, 13, 1]) {
    const source = numbers.subarray(numbers.length - length);
    const target = new Uint16Array(length);
    const largest = half!.narrow(source, length, Uint32Array.of(0), target);
    const expected = toFloat16(source);
    expect(Buffer.from(target.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
    expect(float16Values[largest]).toBe(largestFloat16(expected));
  }
  expect(half!.narrow(new Float32Array(0), 1, new Uint32Array(0), new Uint16Array(0))).toBe(0);
  expect(half!.narrow(Float32Array.of(1, NaN), 2, Uint32Array.of(0), new Uint16Array(2))).toBeGreaterThan(0x7c00);
  expect(half!.narrow(Float32Array.of(1, -1e9, 2), 3, Uint32Array.of(0), new Uint16Array(3))).toBe(0x7c00);
});

it.runIf(half !== undefined)('puts each row in its place, on any number of threads', () => {
  const stream = new RandomStream(2, 'half');
  for (const [rows, d] of [[1, 5], [700, 33], [3, 70_000]] as const) {
    const source = Float32Array.from({ length: rows * d }, () => stream.normal());
    const places = stream.permutation(rows);
    const expected = new Uint16Array(rows * d);
    places.forEach((place, row) => expected.set(toFloat16(source.slice(row * d, (row + 1) * d)), place * d));
    const target = new Uint16Array(rows * d);
    half!.narrow(source, d, places, target);
    expect(Buffer.from(target.buffer).equals(Buffer.from(expected.buffer))).toBe(true);
  }
});

it.runIf(half !== undefined)('assembles the batches that the table does, at any width and scale', () => {
  const stream = new RandomStream(1, 'half');
  for (const d of [1, 7, 8, 24, 515]) {
    for (const scale of [1, 0.37, 1e-3]) {
      const blocks = [300, 1, 77].map((rows) => ({ vectors: Uint16Array.from({ length: rows * d }, () => stream.integer(0x7c00) | (stream.integer(2) << 15)), documents: Int32Array.from({ length: rows }, () => stream.integer(50)) }));
      const gathering = { starts: [0, 300, 301, 378], places: stream.permutation(378), d, scale };
      const assembled = () => {
        const vectors = new Float32Array(378 * d);
        const documents = new Int32Array(378);
        assembler()(blocks, gathering, vectors, documents);
        return { vectors: Buffer.from(vectors.buffer), documents };
      };
      registerHalfKernel(undefined);
      const portable = assembled();
      registerHalfKernel(half);
      const native = assembled();
      expect(native.vectors.equals(portable.vectors)).toBe(true);
      expect(native.documents).toEqual(portable.documents);
    }
  }
});

it.runIf(half !== undefined)('refuses rows and arrays that are not there', () => {
  const block = new Uint16Array(10);
  const widen = (rows: number[], d: number, length: number) => () => half!.widen([block], Uint32Array.from(rows), d, 1, new Float32Array(length));
  expect(widen([0, 5], 2, 2)).toThrow('row 5 of block 0 is not there');
  expect(widen([1, 0], 2, 2)).toThrow('row 0 of block 1 is not there');
  expect(widen([0, 0], 2, 4)).toThrow(TypeError);
  expect(() => half!.narrow(new Float32Array(2), 1, Uint32Array.of(0, 1), new Uint16Array(1))).toThrow('there is no row 1 in the target');
  expect(() => half!.narrow(new Float32Array(3), 2, Uint32Array.of(0), new Uint16Array(2))).toThrow('argument 1 has 3 elements, not 2');
});
