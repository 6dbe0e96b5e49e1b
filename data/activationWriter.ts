// Writes an activation shard piece by piece, row group by row group: what is held is the row group at hand, and of it the
// vectors are handed on as they are. hyparquet-writer would append them one by one, at half the speed of the disk, so the
// pages are made here; the headers and the footer are its own.
import type { ColumnChunk, RowGroup as RowGroupMetadata } from 'hyparquet';
import { ByteWriter } from 'hyparquet-writer';
import { writePageHeader } from 'hyparquet-writer/src/datapage.js';
import { writeMetadata } from 'hyparquet-writer/src/metadata.js';
import { bytesPerNumber, columnNames, integerColumns, magic, rowsPerGroup, schemaOf, type ActivationDtype, type ColumnName, type RowGroup } from './activationFormat.ts';
import { crc32 } from './crc32.ts';

export interface ShardHeader {
  d: number;
  dtype: ActivationDtype;
  /** Goes into the file's key-value metadata, beside dtype, shape and byteOrder: the hook, the artifact key and the like. */
  metadata: Record<string, string>;
}

/**
 * The bytes of a shard, in pieces that together are the file; equal rows give equal bytes. A row group is asked for when
 * the pieces of the one before it are taken, and must not change until the last of its own is.
 *
 * @throws RangeError when a row group but the last has not 4,096 rows, or its columns differ in length.
 */
export function* activationShardPieces({ d, dtype, metadata }: ShardHeader, groups: Iterable<RowGroup>): Generator<Uint8Array> {
  const rowBytes = d * bytesPerNumber[dtype];
  const written: RowGroupMetadata[] = [];
  const head = new ByteWriter();
  head.appendUint32(magic);
  yield head.getBytes();
  let offset = head.offset;
  let rows = 0;
  for (const group of groups) {
    const count = group.document.length;
    if (rows % rowsPerGroup !== 0 || count < 1 || count > rowsPerGroup) throw new RangeError(`a row group of ${count} rows after ${rows}: all but the last have ${rowsPerGroup}`);
    if (group.activation.length !== count * rowBytes || integerColumns.some((name) => group[name].length !== count)) {
      throw new RangeError(`a row group of ${count} documents has ${group.activation.length} bytes of vectors of ${rowBytes}, ${group.position.length} positions and ${group.token.length} tokens`);
    }
    const columns: ColumnChunk[] = [];
    for (const name of columnNames) {
      const values = new Uint8Array(group[name].buffer, group[name].byteOffset, group[name].byteLength);
      const header = pageHeader(values, count);
      columns.push(chunkOf(name, group, offset, header.length + values.length));
      offset += header.length + values.length;
      yield header;
      yield values;
    }
    const bytes = columns.reduce((sum, { meta_data }) => sum + meta_data!.total_compressed_size, 0n);
    written.push({ columns, total_byte_size: bytes, num_rows: BigInt(count), total_compressed_size: bytes });
    rows += count;
  }
  yield footer({ d, dtype, metadata }, written, rows);
}

/** Row groups of columns that are all in memory: views, not copies. */
export function* cutIntoGroups({ activation, document, position, token }: RowGroup): Generator<RowGroup> {
  const rows = document.length;
  const rowBytes = rows === 0 ? 0 : activation.length / rows;
  for (let start = 0; start < rows; start += rowsPerGroup) {
    const end = Math.min(start + rowsPerGroup, rows);
    yield { activation: activation.subarray(start * rowBytes, end * rowBytes), document: document.subarray(start, end), position: position.subarray(start, end), token: token.subarray(start, end) };
  }
}

function pageHeader(values: Uint8Array, count: number): Uint8Array {
  const writer = new ByteWriter();
  writePageHeader(writer, {
    type: 'DATA_PAGE',
    uncompressed_page_size: values.length,
    compressed_page_size: values.length,
    // Thrift's i32 has a sign.
    crc: crc32(values) | 0,
    data_page_header: { num_values: count, encoding: 'PLAIN', definition_level_encoding: 'RLE', repetition_level_encoding: 'RLE' },
  });
  return writer.getBytes();
}

function chunkOf(name: ColumnName, group: RowGroup, offset: number, bytes: number): ColumnChunk {
  return {
    file_offset: BigInt(offset),
    meta_data: {
      type: name === 'activation' ? 'FIXED_LEN_BYTE_ARRAY' : 'INT32',
      encodings: ['PLAIN'],
      path_in_schema: [name],
      codec: 'UNCOMPRESSED',
      num_values: BigInt(group.document.length),
      total_uncompressed_size: BigInt(bytes),
      total_compressed_size: BigInt(bytes),
      data_page_offset: BigInt(offset),
      // Bounds of a vector's bytes mean nothing to a reader.
      ...(name === 'activation' ? {} : { statistics: boundsOf(group[name]) }),
    },
  };
}

function boundsOf(values: Int32Array): { min_value: number; max_value: number; null_count: bigint } {
  let min = values[0]!;
  let max = min;
  for (const value of values) {
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return { min_value: min, max_value: max, null_count: 0n };
}

function footer({ d, dtype, metadata }: ShardHeader, rowGroups: RowGroupMetadata[], rows: number): Uint8Array {
  const writer = new ByteWriter();
  const all = { ...metadata, dtype, shape: `[${d}]`, byteOrder: 'little-endian' };
  writeMetadata(writer, {
    // Nothing in a shard needs 2, which parquetjs refuses.
    version: 1,
    created_by: 'saeflow',
    schema: schemaOf(d * bytesPerNumber[dtype]),
    num_rows: BigInt(rows),
    row_groups: rowGroups,
    metadata_length: 0,
    key_value_metadata: Object.entries(all)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => ({ key, value })),
  });
  writer.appendUint32(magic);
  return writer.getBytes();
}
