// Which features of one SAE are another's: those whose decoder directions are each other's nearest, and near. The matching
// is one-to-one, symmetric and needs no parameter but the threshold; it takes fewer pairs than the optimal assignment of
// Paulo & Belrose (arXiv 2501.16615), whose cost is cubic, and never one that either side would give up for a nearer one.
import * as tf from '@tensorflow/tfjs-core';
import { matMul } from './kernels.ts';

/** A decoder [F, d], row-major, and which of its features are to be matched, ascending. */
export interface FeatureSet {
  decoder: Float32Array;
  d: number;
  features: readonly number[];
}

/** A feature of the one set that is a feature of the other. */
export interface FeatureMatch {
  before: number;
  after: number;
  cosine: number;
}

export interface MatchOptions {
  /** Least cosine of a match. */
  threshold: number;
  /** Called between two blocks with the features of `after` that are done: the place to report, and to stop by throwing. */
  onProgress?: (done: number) => Promise<void>;
}

/** Rows of a block of cosines on either side: 64 MiB as float32. */
const afterAtOnce = 2_048;
const beforeAtOnce = 8_192;

/**
 * The matches of two sets of features with decoders of one width, by ascending feature of `after`. Where two directions
 * are equally near the first is taken. A direction of length 0 matches nothing.
 *
 * @throws RangeError when the widths differ.
 */
export async function matchFeatures(before: FeatureSet, after: FeatureSet, { threshold, onProgress }: MatchOptions): Promise<FeatureMatch[]> {
  if (before.d !== after.d) throw new RangeError(`decoders of ${before.d} and ${after.d} components have no cosines`);
  const nearest = new Nearest(before.features.length, after.features.length);
  for (let row = 0; row < after.features.length; row += afterAtOnce) {
    const rows = unitRows(after, row, afterAtOnce);
    for (let column = 0; column < before.features.length; column += beforeAtOnce) {
      const columns = unitRows(before, column, beforeAtOnce);
      const cosines = matMul(rows, columns, false, true);
      nearest.take(cosines, row, column);
      tf.dispose([columns, cosines]);
    }
    rows.dispose();
    await onProgress?.(Math.min(row + afterAtOnce, after.features.length));
  }
  return nearest.mutual(threshold).map(([row, column, cosine]) => ({ before: before.features[column]!, after: after.features[row]!, cosine }));
}

/**
 * What is nearest so far. Of a column only the cosine is kept: it comes out of the same product as its row's, so that
 * equal numbers are the same pair, and TensorFlow takes as long to say where a column's maximum is as to multiply.
 */
class Nearest {
  private readonly columnOfRow: Int32Array;
  private readonly cosineOfRow: Float32Array;
  private readonly cosineOfColumn: Float32Array;

  constructor(columns: number, rows: number) {
    this.columnOfRow = new Int32Array(rows).fill(-1);
    this.cosineOfRow = new Float32Array(rows).fill(-Infinity);
    this.cosineOfColumn = new Float32Array(columns).fill(-Infinity);
  }

  /** Takes what is nearer in a block that begins at `row` and `column`. */
  take(cosines: tf.Tensor2D, row: number, column: number): void {
    const [where, ofRows, ofColumns] = [tf.argMax(cosines, 1), tf.max(cosines, 1), tf.max(cosines, 0)];
    const columns = where.dataSync();
    ofRows.dataSync().forEach((cosine, at) => {
      if (cosine <= this.cosineOfRow[row + at]!) return;
      this.cosineOfRow[row + at] = cosine;
      this.columnOfRow[row + at] = column + columns[at]!;
    });
    ofColumns.dataSync().forEach((cosine, at) => {
      if (cosine > this.cosineOfColumn[column + at]!) this.cosineOfColumn[column + at] = cosine;
    });
    tf.dispose([where, ofRows, ofColumns]);
  }

  /** Rows and columns that are each other's nearest; each is in one pair at most. */
  mutual(threshold: number): [row: number, column: number, cosine: number][] {
    const pairs: [number, number, number][] = [];
    const taken = new Set<number>();
    this.columnOfRow.forEach((column, row) => {
      const cosine = this.cosineOfRow[row]!;
      if (column < 0 || cosine < threshold || cosine !== this.cosineOfColumn[column] || taken.has(column)) return;
      taken.add(column);
      pairs.push([row, column, cosine]);
    });
    return pairs;
  }
}

/** The directions of features [from, from + most) of a set, of length 1: [n, d]. */
function unitRows({ decoder, d, features }: FeatureSet, from: number, most: number): tf.Tensor2D {
  const some = features.slice(from, from + most);
  const rows = new Float32Array(some.length * d);
  some.forEach((feature, row) => {
    const direction = decoder.subarray(feature * d, (feature + 1) * d);
    const length = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0));
    if (length === 0) return;
    for (let component = 0; component < d; component++) rows[row * d + component] = direction[component]! / length;
  });
  return tf.tensor2d(rows, [some.length, d]);
}
