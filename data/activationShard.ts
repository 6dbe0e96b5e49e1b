// Activations at rest: Parquet with one fixed-length byte string a vector, so that numpy, polars and DuckDB read billions
// of them without this project, and this project writes them at disk speed (a list of floats would be 100 times slower).
// Beside each vector stand document, position and token: provenance down to a character of the corpus.
import { parquetMetadata, parquetRead, type FileMetaData, type SchemaElement, type SubColumnData } from 'hyparquet';
import { ByteWriter, parquetWrite } from 'hyparquet-writer';
import { UserError } from '../schemas/errors.ts';
import { fromFloat16, toFloat16 } from './float16.ts';

const rowsPerGroup = 4_096;
const integerColumns = ['document', 'position', 'token'] as const;
const bytesPerNumber = { float16: 2, float32: 4 } as const;

export type ActivationDtype = keyof typeof bytesPerNumber;

/** Vectors and where each comes from; all arrays have `rows` rows. */
export interface ActivationRows {
  /** [rows · d], row-major. */
  activations: Float32Array;
  document: Int32Array;
  /** Token offset inside the document. */
  position: Int32Array;
  token: Int32Array;
  d: number;
  /** How the numbers rest on disk. */
  dtype: ActivationDtype;
  /** Goes into the file's key-value metadata, beside dtype, shape and byteOrder: the hook, the artifact key and the like. */
  metadata: Record<string, string>;
}

/**
 * Encodes a shard; equal rows give equal bytes. `overflows` counts finite numbers that are infinite in float16.
 *
 * @throws RangeError when the columns differ in length.
 */
export function encodeActivationShard(shard: ActivationRows): { bytes: Uint8Array; overflows: number } {
  const { activations, d, dtype } = shard;
  const rows = shard.document.length;
  if (activations.length !== rows * d || integerColumns.some((name) => shard[name].length !== rows)) {
    throw new RangeError(`an activation shard of ${rows} documents has ${activations.length} numbers of width ${d}, ${shard.position.length} positions and ${shard.token.length} tokens`);
  }
  const rowBytes = d * bytesPerNumber[dtype];
  const { values, overflows } = dtype === 'float16' ? toFloat16(activations) : { values: activations, overflows: 0 };
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const vectors = Array.from({ length: rows }, (_, row) => raw.subarray(row * rowBytes, (row + 1) * rowBytes));
  const metadata = { ...shard.metadata, dtype, shape: `[${d}]`, byteOrder: 'little-endian' };
  const writer = new ByteWriter(raw.length + rows * 12 + 2 ** 16);
  void parquetWrite({
    writer,
    schema: schemaOf(rowBytes),
    columnData: [
      // Bounds of a vector's bytes mean nothing to a reader and cost a comparison a row.
      { name: 'activation', data: vectors, encoding: 'PLAIN', statistics: false },
      ...integerColumns.map((name) => ({ name, data: shard[name], encoding: 'PLAIN' as const })),
    ],
    codec: 'UNCOMPRESSED',
    rowGroupSize: rowsPerGroup,
    kvMetadata: Object.entries(metadata)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ key, value })),
    createdBy: 'saeflow',
  });
  const bytes = writer.getBytes();
  declareVersion1(bytes);
  return { bytes, overflows };
}

/**
 * Decodes a shard that encodeActivationShard wrote.
 *
 * @throws UserError when the file is truncated, damaged, or Parquet of another kind.
 */
export async function decodeActivationShard(bytes: Uint8Array): Promise<ActivationRows & { rows: number }> {
  try {
    return await decode(bytes);
  } catch (error) {
    throw new UserError(
      `not a valid activation shard: ${error instanceof Error ? error.message : String(error)}`,
      'Delete the file with its receipt and run again: only this shard is sampled anew.',
      { cause: error },
    );
  }
}

async function decode(bytes: Uint8Array): Promise<ActivationRows & { rows: number }> {
  const file = { byteLength: bytes.length, slice: (start: number, end?: number) => copyOf(bytes, start, end) };
  const footer = parquetMetadata(bytes);
  const { d, dtype, rows, metadata } = checkFooter(footer, bytes.length);
  const shard = { activations: new Float32Array(rows * d), document: new Int32Array(rows), position: new Int32Array(rows), token: new Int32Array(rows), d, dtype, metadata, rows };
  const rowBytes = d * bytesPerNumber[dtype];
  const rowsRead: Record<string, number> = { activation: 0, document: 0, position: 0, token: 0 };
  const onPage = ({ pathInSchema: [name], columnData, rowStart, rowEnd }: SubColumnData): void => {
    if (columnData.length !== rowEnd - rowStart || rowEnd > rows) throw new RangeError(`column ${name} has a page of ${columnData.length} rows at ${rowStart} of ${rows}`);
    rowsRead[name!]! += columnData.length;
    if (name === 'activation') readVectors(columnData as Uint8Array[], rowBytes, dtype, shard.activations.subarray(rowStart * d, rowEnd * d));
    else shard[name as (typeof integerColumns)[number]].set(columnData as Int32Array, rowStart);
  };
  let rowStart = 0;
  // Group by group: otherwise hyparquet would hold a second copy of the whole file.
  for (const group of footer.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    await parquetRead({ file, metadata: footer, rowStart, rowEnd, onPage });
    rowStart = rowEnd;
  }
  for (const [name, read] of Object.entries(rowsRead)) if (read !== rows) throw new RangeError(`column ${name} has ${read} rows, ${rows} were expected`);
  return shard;
}

function checkFooter(footer: FileMetaData, fileBytes: number): { d: number; dtype: ActivationDtype; rows: number; metadata: Record<string, string> } {
  const metadata = Object.fromEntries((footer.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? '']));
  const dtype = metadata['dtype'];
  const d = Number(/^\[(\d+)\]$/.exec(metadata['shape'] ?? '')?.[1]);
  if (dtype !== 'float16' && dtype !== 'float32') throw new TypeError(`metadata dtype is ${dtype}, not float16 or float32`);
  if (!(d > 0)) throw new TypeError(`metadata shape is ${metadata['shape']}, not [d]`);
  if (metadata['byteOrder'] !== 'little-endian') throw new TypeError(`metadata byteOrder is ${metadata['byteOrder']}, not little-endian`);
  const expected = schemaOf(d * bytesPerNumber[dtype]);
  const found = footer.schema;
  const fits = found.length === expected.length && expected.every(({ name, type, type_length, repetition_type }, i) => i === 0 || (found[i]!.name === name && found[i]!.type === type && found[i]!.type_length === type_length && found[i]!.repetition_type === repetition_type));
  if (!fits) throw new TypeError(`its columns are ${found.slice(1).map(({ name, type, type_length }) => `${name} ${type}${type_length ? `(${type_length})` : ''}`).join(', ')}`);
  const rows = Number(footer.num_rows);
  const groupRows = footer.row_groups.reduce((sum, group) => sum + Number(group.num_rows), 0);
  if (groupRows !== rows || rows < 0 || rows * d * bytesPerNumber[dtype] > fileBytes) throw new RangeError(`${rows} rows are named, the row groups have ${groupRows} and the file ${fileBytes} bytes`);
  return { d, dtype, rows, metadata };
}

/** The views of one page's vectors lie one after another in its bytes: they are taken as one. */
function readVectors(vectors: Uint8Array[], rowBytes: number, dtype: ActivationDtype, target: Float32Array): void {
  const [first] = vectors;
  if (!first) return;
  const page = new Uint8Array(first.buffer, first.byteOffset, vectors.length * rowBytes);
  if (dtype === 'float32') new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(page);
  else fromFloat16(new Uint16Array(page.slice().buffer), target);
}

/**
 * hyparquet-writer names format version 2 in every footer, and parquetjs refuses all but 1. Nothing in a shard needs 2
 * (other readers go by what they find), so the footer's first field, a compact-Thrift i32, is set to 1.
 */
function declareVersion1(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const footer = bytes.length - 8 - view.getUint32(bytes.length - 8, true);
  const i32Field1 = 0x15;
  if (view.getUint16(footer, true) !== (i32Field1 | (zigZag(2) << 8))) throw new Error('hyparquet-writer no longer begins its footer with version 2: revisit declareVersion1');
  view.setUint8(footer + 1, zigZag(1));
}

function zigZag(number: number): number {
  return number << 1;
}

function schemaOf(rowBytes: number): SchemaElement[] {
  return [
    { name: 'root', num_children: 4 },
    { name: 'activation', type: 'FIXED_LEN_BYTE_ARRAY', type_length: rowBytes, repetition_type: 'REQUIRED' },
    ...integerColumns.map((name): SchemaElement => ({ name, type: 'INT32', repetition_type: 'REQUIRED' })),
  ];
}

function copyOf(bytes: Uint8Array, start: number, end?: number): ArrayBuffer {
  return new Uint8Array(bytes.subarray(start, end)).buffer;
}
