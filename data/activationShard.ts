// An activation shard whole, in memory: what tests, benches and provenance read and write. Sampling streams it instead
// (activationWriter.ts), and training reads its row groups where they lie (activationFile.ts).
import { UserError } from '../schemas/errors.ts';
import { columnNames, footerBytes, integerColumns, integersOf, layoutOf, numbersOf, pageValues, bytesPerNumber, type ActivationDtype } from './activationFormat.ts';
import { activationShardPieces, cutIntoGroups } from './activationWriter.ts';
import { fromFloat16, toFloat16 } from './float16.ts';

export type { ActivationDtype };

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
 * Encodes a shard; equal rows give equal bytes. Numbers beyond float16 become infinite: who samples sees to them first.
 *
 * @throws RangeError when the columns differ in length.
 */
export function encodeActivationShard(shard: ActivationRows): Uint8Array {
  const { activations, d, dtype, document, position, token } = shard;
  const rows = document.length;
  if (activations.length !== rows * d || integerColumns.some((name) => shard[name].length !== rows)) {
    throw new RangeError(`an activation shard of ${rows} documents has ${activations.length} numbers of width ${d}, ${position.length} positions and ${token.length} tokens`);
  }
  const values = dtype === 'float16' ? toFloat16(activations) : activations;
  const activation = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return Buffer.concat([...activationShardPieces(shard, cutIntoGroups({ activation, document, position, token }))]);
}

/**
 * Decodes a shard that encodeActivationShard wrote.
 *
 * @throws UserError when the file is truncated, damaged, or Parquet of another kind.
 */
export async function decodeActivationShard(bytes: Uint8Array): Promise<ActivationRows & { rows: number }> {
  try {
    return decode(bytes);
  } catch (error) {
    throw new UserError(
      `not a valid activation shard: ${error instanceof Error ? error.message : String(error)}`,
      'Delete the file with its receipt and run again: only this shard is sampled anew.',
      { cause: error },
    );
  }
}

function decode(bytes: Uint8Array): ActivationRows & { rows: number } {
  if (bytes.length < 12) throw new RangeError(`${bytes.length} bytes are no Parquet file`);
  const footer = footerBytes(bytes.subarray(-8), bytes.length);
  const { d, dtype, rows, metadata, groups } = layoutOf(bytes.subarray(-footer), bytes.length);
  const shard = { activations: new Float32Array(rows * d), document: new Int32Array(rows), position: new Int32Array(rows), token: new Int32Array(rows), d, dtype, metadata, rows };
  let row = 0;
  for (const { rows: count, bounds } of groups) {
    for (const [column, name] of columnNames.entries()) {
      const chunk = bytes.subarray(bounds[column], bounds[column + 1]);
      if (name !== 'activation') shard[name].set(integersOf(pageValues(chunk, count, 4)), row);
      else readVectors(pageValues(chunk, count, d * bytesPerNumber[dtype]), dtype, shard.activations.subarray(row * d, (row + count) * d));
    }
    row += count;
  }
  return shard;
}

function readVectors(page: Uint8Array, dtype: ActivationDtype, target: Float32Array): void {
  const numbers = numbersOf(page, dtype);
  if (numbers instanceof Uint16Array) fromFloat16(numbers, target);
  else target.set(numbers);
}
