import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors, type TensorInput } from '../../data/safetensors.ts';
import { UserError } from '../../schemas/errors.ts';

const fixture = readFileSync(join(import.meta.dirname, '../oracle/dtypes.safetensors'));

/** The tensors of test/oracle/safetensors_dtypes.py. */
const fixtureTensors: Record<string, TensorInput> = {
  'weights.f32': { shape: [2, 3], data: Float32Array.of(0.5, -1.25, 3e38, 1e-40, -0, Infinity) },
  'a.scalar': { shape: [], data: Float32Array.of(7.5) },
  half: { shape: [4], data: Uint16Array.of(0x3c00, 0xc100, 0x7bff, 0x0001) },
  'ints.32': { shape: [3], data: Int32Array.of(-(2 ** 31), -1, 2 ** 31 - 1) },
  'ints.64': { shape: [2, 1], data: BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n) },
  bytes: { shape: [3], data: Uint8Array.of(0, 1, 255) },
  double: { shape: [1], data: Float64Array.of(0.1) },
  flags: { shape: [2], data: Uint8Array.of(1, 0), dtype: 'BOOL' },
  empty: { shape: [0, 4], data: new Float32Array(0) },
  'Gewicht ü "quoted"': { shape: [3], data: Uint16Array.of(1, 2, 65535), dtype: 'U16' },
};

const arbitraryTensor: fc.Arbitrary<TensorInput> = fc
  .tuple(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }), fc.constantFrom('F32', 'F64', 'F16', 'BF16', 'I64', 'I32', 'U16', 'I8', 'U8', 'BOOL' as const), fc.infiniteStream(fc.nat(255)))
  .map(([shape, dtype, bytes]) => {
    const size = shape.reduce((product, length) => product * length, 1);
    const raw = (width: number): ArrayBuffer => Uint8Array.from(Array.from({ length: size * width }, () => bytes.next().value as number)).buffer;
    switch (dtype) {
      case 'F32':
        return { shape, dtype, data: new Float32Array(raw(4)) };
      case 'F64':
        return { shape, dtype, data: new Float64Array(raw(8)) };
      case 'I64':
        return { shape, dtype, data: new BigInt64Array(raw(8)) };
      case 'I32':
        return { shape, dtype, data: new Int32Array(raw(4)) };
      case 'I8':
        return { shape, dtype, data: new Int8Array(raw(1)) };
      case 'U8':
      case 'BOOL':
        return { shape, dtype, data: new Uint8Array(raw(1)) };
      default:
        return { shape, dtype, data: new Uint16Array(raw(2)) };
    }
  });

/** A file with this header text and so many bytes of data. */
function fileOf(header: string, dataBytes: number): Uint8Array {
  const text = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + text.length + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  return file;
}

const entry = (begin: number, end: number, shape: number[] = [(end - begin) / 4], dtype = 'F32'): string => JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

describe('decodeSafetensors', () => {
  it('reads every dtype as Python wrote it', () => {
    const { tensors, metadata } = decodeSafetensors(fixture);
    expect(metadata).toEqual({ format: 'np' });
    expect(Object.keys(tensors).sort()).toEqual(Object.keys(fixtureTensors).sort());
    for (const [name, { shape, data }] of Object.entries(fixtureTensors)) expect(tensors[name]).toMatchObject({ shape, data });
    expect(Object.fromEntries(Object.entries(tensors).map(([name, { dtype }]) => [name, dtype]))).toMatchObject({ half: 'F16', flags: 'BOOL', bytes: 'U8', 'ints.64': 'I64' });
  });

  it('reads a file at any offset of a larger buffer', () => {
    const expected = decodeSafetensors(fixture).tensors;
    for (let shift = 0; shift < 9; shift++) {
      const room = new Uint8Array(fixture.length + 9);
      room.set(fixture, shift);
      expect(decodeSafetensors(room.subarray(shift, shift + fixture.length)).tensors).toEqual(expected);
    }
  });

  it('refuses every truncation', () => {
    for (let length = 0; length < fixture.length; length++) expect(() => decodeSafetensors(fixture.subarray(0, length)), `${length} bytes`).toThrow(UserError);
  });

  it.each<[string, string, number]>([
    ['overlapping tensors', `{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12],
    ['a hole between tensors', `{"a":${entry(0, 8)},"b":${entry(12, 16)}}`, 16],
    ['a hole at the beginning', `{"a":${entry(4, 8)}}`, 8],
    ['bytes after the last tensor', `{"a":${entry(0, 8)}}`, 9],
    ['a shape that needs more bytes', `{"a":${entry(0, 8, [3])}}`, 8],
    ['a shape that needs fewer bytes', `{"a":${entry(0, 8, [1])}}`, 8],
    ['offsets the wrong way round', `{"a":${entry(8, 0, [2])}}`, 8],
    ['a negative size', `{"a":${entry(0, 8, [-1, -2])}}`, 8],
    ['a size that overflows', `{"a":${entry(0, 8, [2 ** 40, 2 ** 40, 2])}}`, 8],
    ['a fractional offset', `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0.5,4.5]}}`, 8],
    ['an unknown dtype', `{"a":${entry(0, 8, [8], 'F8_E4M3')}}`, 8],
    ['a dtype that is a property of all objects', `{"a":${entry(0, 8, [8], 'constructor')}}`, 8],
    ['metadata that is not text', `{"__metadata__":{"a":1}}`, 0],
    ['metadata that is not text under a name all objects know', `{"__metadata__":{"__proto__":{"a":"b"}}}`, 0],
    ['metadata that is a list', `{"__metadata__":["a"]}`, 0],
    ['an entry without offsets', '{"a":{"dtype":"F32","shape":[0]}}', 0],
    ['a header that is a list', '[]', 0],
    ['a header that is not JSON', '{"a":', 0],
  ])('refuses %s', (_, header, dataBytes) => {
    expect(() => decodeSafetensors(fileOf(header, dataBytes))).toThrow(UserError);
  });

  it('reads metadata and tensors of any name', () => {
    const { metadata, tensors } = decodeSafetensors(fileOf(`{"__metadata__":{"__proto__":"a","b":"c"},"__proto__":${entry(0, 4)}}`, 4));
    expect(Object.entries(metadata)).toEqual([['__proto__', 'a'], ['b', 'c']]);
    expect(Object.keys(tensors)).toEqual(['__proto__']);
  });

  it('accepts the same headers when they are right', () => {
    expect(decodeSafetensors(fileOf(`{"b":${entry(8, 12)},"a":${entry(0, 8)}}`, 12)).tensors['b']!.shape).toEqual([1]);
    expect(decodeSafetensors(fileOf('{}', 0))).toEqual({ tensors: {}, metadata: {} });
  });

  it('never does anything but decode or say UserError, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.nat(fixture.length - 1), fc.nat(255), (at, value) => {
        const damaged = Uint8Array.from(fixture);
        damaged[at] = value;
        try {
          decodeSafetensors(damaged);
        } catch (error) {
          expect(error).toBeInstanceOf(UserError);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('encodeSafetensors', () => {
  it('writes the very bytes that Python writes', () => {
    expect(Buffer.from(encodeSafetensors(fixtureTensors, { format: 'np' })).equals(fixture)).toBe(true);
  });

  it('round trips any tensors and metadata, bit by bit', () => {
    const names = fc.string({ unit: 'grapheme', minLength: 1 }).filter((name) => name !== '__metadata__');
    fc.assert(
      fc.property(fc.uniqueArray(fc.tuple(names, arbitraryTensor), { selector: ([name]) => name, maxLength: 6 }), fc.dictionary(fc.string(), fc.string()), (entries, metadata) => {
        const file = encodeSafetensors(Object.fromEntries(entries), metadata);
        expect(Number(new DataView(file.buffer).getBigUint64(0, true)) % 8).toBe(0);
        const back = decodeSafetensors(file);
        expect({ ...back.metadata }).toEqual({ ...metadata });
        expect(Object.keys(back.tensors)).toHaveLength(entries.length);
        for (const [name, { shape, dtype, data }] of entries) {
          const tensor = back.tensors[name]!;
          expect([tensor.shape, tensor.dtype]).toEqual([shape, dtype]);
          expect(Buffer.from(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength).equals(Buffer.from(data.buffer, data.byteOffset, data.byteLength))).toBe(true);
        }
      }),
    );
  });

  it('gives equal bytes whatever the order of tensors and metadata', () => {
    const reversed = Object.fromEntries(Object.entries(fixtureTensors).reverse());
    expect(encodeSafetensors(reversed, { b: '2', a: '1' })).toEqual(encodeSafetensors(fixtureTensors, { a: '1', b: '2' }));
  });

  it('refuses shapes and dtypes that do not fit the data', () => {
    expect(() => encodeSafetensors({ a: { shape: [3], data: new Float32Array(2) } })).toThrow(RangeError);
    expect(() => encodeSafetensors({ a: { shape: [-1, -2], data: new Float32Array(2) } })).toThrow(RangeError);
    expect(() => encodeSafetensors({ a: { shape: [2], data: new Float32Array(2), dtype: 'I32' } })).toThrow(TypeError);
    expect(() => encodeSafetensors({ __metadata__: { shape: [2], data: new Float32Array(2) } })).toThrow(RangeError);
  });
});
