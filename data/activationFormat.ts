// How activations rest on disk: Parquet with one fixed-length byte string a vector, so that numpy, polars and DuckDB read
// billions of them without this project, and this project writes them at disk speed (a list of floats would be 100 times
// slower). Every column of a row group is one plain, uncompressed page with its CRC-32: the bytes of any row are where
// arithmetic says they are, and a damaged one is noticed wherever reading begins.
import { parquetMetadata, type FileMetaData, type SchemaElement } from 'hyparquet';
import { parquetHeader } from 'hyparquet/src/column.js';
import { crc32 } from './crc32.ts';

/** All row groups of a shard have so many rows, but the last. */
export const rowsPerGroup = 4_096;
export const integerColumns = ['document', 'position', 'token'] as const;
export const columnNames = ['activation', ...integerColumns] as const;
export const bytesPerNumber = { float16: 2, float32: 4 } as const;

export type ActivationDtype = keyof typeof bytesPerNumber;
export type ColumnName = (typeof columnNames)[number];

/** A row group's columns as they rest. */
export interface RowGroup {
  /** rows · d numbers of the shard's dtype, little-endian. */
  activation: Uint8Array;
  document: Int32Array;
  /** Token offset inside the document. */
  position: Int32Array;
  token: Int32Array;
}

/** What a shard's footer says. */
export interface ShardLayout {
  d: number;
  dtype: ActivationDtype;
  rows: number;
  metadata: Record<string, string>;
  groups: GroupLayout[];
}

export interface GroupLayout {
  rows: number;
  /** Where each column's page begins in the file, header included, in the order of `columnNames`; and where the last ends. */
  bounds: number[];
}

/** The columns of a shard whose vectors take `rowBytes` each. */
export function schemaOf(rowBytes: number): SchemaElement[] {
  return [
    { name: 'root', num_children: columnNames.length },
    { name: 'activation', type: 'FIXED_LEN_BYTE_ARRAY', type_length: rowBytes, repetition_type: 'REQUIRED' },
    ...integerColumns.map((name): SchemaElement => ({ name, type: 'INT32', repetition_type: 'REQUIRED' })),
  ];
}

/**
 * Reads the layout out of the end of a file: its footer at least.
 *
 * @throws Error when it is not the footer of a shard of this layout.
 */
export function layoutOf(end: Uint8Array, fileBytes: number): ShardLayout {
  const footer = parquetMetadata(end);
  const metadata = Object.fromEntries((footer.key_value_metadata ?? []).map(({ key, value }) => [key, value ?? '']));
  const dtype = metadata['dtype'];
  const d = Number(/^\[(\d+)\]$/.exec(metadata['shape'] ?? '')?.[1]);
  if (dtype !== 'float16' && dtype !== 'float32') throw new TypeError(`metadata dtype is ${dtype}, not float16 or float32`);
  if (!(d > 0)) throw new TypeError(`metadata shape is ${metadata['shape']}, not [d]`);
  if (metadata['byteOrder'] !== 'little-endian') throw new TypeError(`metadata byteOrder is ${metadata['byteOrder']}, not little-endian`);
  checkSchema(footer, d * bytesPerNumber[dtype]);
  const groups = footer.row_groups.map((group): GroupLayout => {
    const chunks = group.columns.map(({ meta_data }) => ({ start: Number(meta_data!.data_page_offset), bytes: Number(meta_data!.total_compressed_size) }));
    const bounds = [...chunks.map(({ start }) => start), chunks.at(-1)!.start + chunks.at(-1)!.bytes];
    const gapless = chunks.every(({ start, bytes }, column) => bytes > 0 && start + bytes === bounds[column + 1]);
    if (chunks.length !== columnNames.length || !gapless || bounds[0]! < 4 || bounds.at(-1)! > fileBytes) throw new RangeError(`a row group whose columns are at ${bounds.join(', ')} in a file of ${fileBytes} bytes`);
    return { rows: Number(group.num_rows), bounds };
  });
  const rows = Number(footer.num_rows);
  const whole = groups.every((group, index) => group.rows > 0 && (group.rows === rowsPerGroup || (index === groups.length - 1 && group.rows < rowsPerGroup)));
  if (!whole || groups.reduce((sum, group) => sum + group.rows, 0) !== rows || rows * d * bytesPerNumber[dtype] > fileBytes) {
    throw new RangeError(`${rows} rows in groups of ${groups.map((group) => group.rows).join(', ') || 'none'} and a file of ${fileBytes} bytes`);
  }
  return { d, dtype, rows, metadata, groups };
}

/** Bytes from the end of a file that hold its footer, as its last eight say. Throws RangeError when they say nonsense. */
export function footerBytes(lastEight: Uint8Array, fileBytes: number): number {
  const view = new DataView(lastEight.buffer, lastEight.byteOffset, lastEight.byteLength);
  const bytes = view.getUint32(lastEight.length - 8, true) + 8;
  if (view.getUint32(lastEight.length - 4, true) !== magic || bytes > fileBytes - 4) throw new RangeError('it does not end as a Parquet file does');
  return bytes;
}

/** `PAR1`, as a little-endian number. */
export const magic = 0x31524150;

/**
 * The values of a column's page: a view of `chunk`, which is the page with its header.
 *
 * @throws Error when it is not one plain page of so many values, or its CRC-32 is another.
 */
export function pageValues(chunk: Uint8Array, rows: number, bytesPerValue: number): Uint8Array {
  const reader = { view: new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength), offset: 0 };
  const { type, crc, data_page_header: page } = parquetHeader(reader);
  const values = chunk.subarray(reader.offset);
  if (type !== 'DATA_PAGE' || page?.encoding !== 'PLAIN' || page.num_values !== rows || values.length !== rows * bytesPerValue) {
    throw new RangeError(`a page of type ${type} with ${page?.num_values} values in ${values.length} bytes, not ${rows} plain ones of ${bytesPerValue} bytes`);
  }
  if (crc === undefined || crc >>> 0 !== crc32(values)) throw new RangeError(`CRC-32 ${(crc ?? 0) >>> 0} expected, ${crc32(values)} found`);
  return values;
}

/** The numbers of a page of activations; no copy where the page's bytes lie on a boundary of numbers. */
export function numbersOf(values: Uint8Array, dtype: ActivationDtype): Uint16Array | Float32Array {
  const bytes = bytesPerNumber[dtype];
  const { buffer, byteOffset } = values.byteOffset % bytes === 0 ? values : new Uint8Array(values);
  return dtype === 'float16' ? new Uint16Array(buffer, byteOffset, values.length / bytes) : new Float32Array(buffer, byteOffset, values.length / bytes);
}

/** The whole numbers of a page. */
export function integersOf(values: Uint8Array): Int32Array {
  return new Int32Array(new Uint8Array(values).buffer);
}

function checkSchema(footer: FileMetaData, rowBytes: number): void {
  const expected = schemaOf(rowBytes);
  const found = footer.schema;
  const fits = found.length === expected.length && expected.every(({ name, type, type_length, repetition_type }, i) => i === 0 || (found[i]!.name === name && found[i]!.type === type && found[i]!.type_length === type_length && found[i]!.repetition_type === repetition_type));
  if (!fits) throw new TypeError(`its columns are ${found.slice(1).map(({ name, type, type_length }) => `${name} ${type}${type_length ? `(${type_length})` : ''}`).join(', ')}`);
}
