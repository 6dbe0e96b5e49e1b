// Weights, checkpoints and SAEs are safetensors files: readable by every Python tool, nothing executable in them, and
// one format for all. Encoding is deterministic, so equal weights give equal SHA-256; decoding trusts no byte, because
// imported models come from strangers.
import { z } from 'zod';
import { UserError } from '../schemas/errors.ts';

/** In the order in which the Python library writes them: widest first, so that every tensor is aligned. */
const arrayTypes = {
  U64: BigUint64Array,
  I64: BigInt64Array,
  F64: Float64Array,
  F32: Float32Array,
  U32: Uint32Array,
  I32: Int32Array,
  BF16: Uint16Array,
  /** Half precision as bit patterns; data/float16.ts converts them. */
  F16: Uint16Array,
  U16: Uint16Array,
  I16: Int16Array,
  I8: Int8Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

/** What a Uint16Array or Uint8Array means unless its dtype is given; any other array has one dtype only. */
const preferredDtypes: SafetensorsDtype[] = ['F16', 'U8'];

export type SafetensorsDtype = keyof typeof arrayTypes;
export type TensorData = InstanceType<(typeof arrayTypes)[SafetensorsDtype]>;

/** A tensor to write: `data` in row-major order. Without `dtype` the array's own is meant, F16 for a Uint16Array. */
export interface TensorInput {
  shape: readonly number[];
  data: TensorData;
  dtype?: SafetensorsDtype;
}

/** A tensor that was read. `data` may share memory with the bytes it was read from. */
export interface StoredTensor {
  dtype: SafetensorsDtype;
  shape: number[];
  data: TensorData;
}

const dtypes = Object.keys(arrayTypes) as SafetensorsDtype[];

const headerEntry = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});
/** Pairs, because zod's records leave a key called __proto__ out. */
const headerMetadata = z.array(z.tuple([z.string(), z.string()]));
const headerLengthBytes = 8;
const remedy = 'Fetch or export the file again; it must be an unchanged .safetensors file.';

/**
 * Encodes tensors as a safetensors file, sorted by dtype and name: equal tensors give equal bytes, the very ones that
 * Python's safetensors gives (but for its order of several metadata keys; here they are sorted).
 *
 * @throws RangeError when a shape does not fit its data, TypeError when a dtype does not.
 * @example
 * encodeSafetensors({ W_enc: { shape: [512, 4096], data: weights } }, { format: 'pt' })
 */
export function encodeSafetensors(tensors: Record<string, TensorInput>, metadata?: Record<string, string>): Uint8Array {
  const entries = Object.entries(tensors).map(([name, tensor]) => ({ name, dtype: dtypeOf(name, tensor), ...checkedShape(name, tensor) }));
  entries.sort((a, b) => dtypes.indexOf(a.dtype) - dtypes.indexOf(b.dtype) || (a.name < b.name ? -1 : 1));
  const fields: string[] = [];
  if (metadata) fields.push(`"__metadata__":${JSON.stringify(Object.fromEntries(Object.entries(metadata).sort(([a], [b]) => (a < b ? -1 : 1))))}`);
  let dataBytes = 0;
  for (const { name, dtype, shape, data } of entries) {
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [dataBytes, dataBytes + data.byteLength] })}`);
    dataBytes += data.byteLength;
  }
  const unpadded = new TextEncoder().encode(`{${fields.join(',')}}`);
  const headerBytes = Math.ceil(unpadded.length / 8) * 8;
  const file = new Uint8Array(headerLengthBytes + headerBytes + dataBytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerBytes), true);
  file.fill(0x20, headerLengthBytes);
  file.set(unpadded, headerLengthBytes);
  let at = headerLengthBytes + headerBytes;
  for (const { data } of entries) {
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/**
 * Decodes a safetensors file. Arrays are views into `bytes` where alignment allows, else copies.
 *
 * @throws UserError when the file is truncated, has holes or overlaps, or names sizes or dtypes that don't fit.
 */
export function decodeSafetensors(bytes: Uint8Array): { tensors: Record<string, StoredTensor>; metadata: Record<string, string> } {
  const { header, dataStart } = readHeader(bytes);
  let metadata: Record<string, string> = {};
  const tensors: [string, StoredTensor][] = [];
  const spans: { name: string; begin: number; end: number }[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('__metadata__ is not a JSON object');
      metadata = Object.fromEntries(parse(headerMetadata, Object.entries(value), name));
      continue;
    }
    const { dtype, shape, data_offsets: [begin, end] } = parse(headerEntry, value, name);
    if (!isDtype(dtype)) throw invalid(`tensor ${name} has dtype ${dtype}, which is not one of ${dtypes.join(', ')}`);
    const expectedBytes = shape.reduce((product, size) => product * size, 1) * arrayTypes[dtype].BYTES_PER_ELEMENT;
    if (end - begin !== expectedBytes) throw invalid(`tensor ${name} of shape [${shape.join(', ')}] and dtype ${dtype} needs ${expectedBytes} bytes, its offsets give ${end - begin}`);
    if (dataStart + end > bytes.length) throw invalid(`truncated: tensor ${name} ends at byte ${dataStart + end} of a file of ${bytes.length}`);
    spans.push({ name, begin, end });
    tensors.push([name, { dtype, shape, data: view(bytes, dataStart + begin, expectedBytes, dtype) }]);
  }
  checkSpans(spans, bytes.length - dataStart);
  return { tensors: Object.fromEntries(tensors), metadata };
}

function readHeader(bytes: Uint8Array): { header: Record<string, unknown>; dataStart: number } {
  if (bytes.length < headerLengthBytes) throw invalid(`${bytes.length} bytes are too few for a header`);
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (headerBytes > BigInt(bytes.length - headerLengthBytes)) throw invalid(`truncated, or no safetensors file: a header of ${headerBytes} bytes does not fit a file of ${bytes.length}`);
  const dataStart = headerLengthBytes + Number(headerBytes);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(headerLengthBytes, dataStart)));
  } catch (error) {
    throw invalid(`the header is not JSON: ${(error as Error).message}`);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) throw invalid('the header is not a JSON object');
  return { header: header as Record<string, unknown>, dataStart };
}

/** Tensors must lie one after another and fill the file: else bytes could hide, or be shared. */
function checkSpans(spans: { name: string; begin: number; end: number }[], dataBytes: number): void {
  let at = 0;
  for (const { name, begin, end } of spans.sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== at) throw invalid(`tensor ${name} begins at ${begin}, where ${at} was expected: ${begin < at ? 'it overlaps another' : 'there is a hole'}`);
    at = end;
  }
  if (at !== dataBytes) throw invalid(`${dataBytes} bytes of data, but the tensors end at ${at}`);
}

function view(bytes: Uint8Array, start: number, byteLength: number, dtype: SafetensorsDtype): TensorData {
  const Type = arrayTypes[dtype];
  const aligned = (bytes.byteOffset + start) % Type.BYTES_PER_ELEMENT === 0;
  const length = byteLength / Type.BYTES_PER_ELEMENT;
  return aligned ? new Type(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, length) : new Type(new Uint8Array(bytes.subarray(start, start + byteLength)).buffer);
}

function dtypeOf(name: string, { data, dtype }: TensorInput): SafetensorsDtype {
  if (dtype === undefined) {
    const own = [...preferredDtypes, ...dtypes].find((candidate) => data instanceof arrayTypes[candidate]);
    if (own) return own;
  } else if (data instanceof arrayTypes[dtype]) return dtype;
  throw new TypeError(`tensor ${name}: a ${data.constructor.name} is not ${dtype ?? 'a kind of data that safetensors has'}`);
}

function checkedShape(name: string, { shape, data }: TensorInput): { shape: number[]; data: TensorData } {
  if (name === '__metadata__') throw new RangeError('a tensor cannot be called __metadata__');
  const size = shape.reduce((product, length) => product * length, 1);
  if (size !== data.length || shape.some((length) => !Number.isInteger(length) || length < 0)) throw new RangeError(`tensor ${name}: shape [${shape.join(', ')}] does not fit ${data.length} numbers`);
  return { shape: [...shape], data };
}

function isDtype(dtype: string): dtype is SafetensorsDtype {
  return Object.hasOwn(arrayTypes, dtype);
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown, name: string): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(`header entry ${name}: ${parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')}`);
}

function invalid(why: string): UserError {
  return new UserError(`not a valid safetensors file: ${why}`, remedy);
}
