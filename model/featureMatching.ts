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
  const nearestBefore = new Nearest(after.features.length);
  const nearestAfter = new Nearest(before.features.length);
  for (let row = 0; row < after.features.length; row += afterAtOnce) {
    const rows = unitRows(after, row, afterAtOnce);
    for (let column = 0; column < before.features.length; column += beforeAtOnce) {
      const columns = unitRows(before, column, beforeAtOnce);
      const cosines = matMul(rows, columns, false, true);
      nearestBefore.take(row, column, nearestAlong(cosines, 1));
      nearestAfter.take(column, row, nearestAlong(cosines, 0));
      tf.dispose([columns, cosines]);
    }
    rows.dispose();
    await onProgress?.(Math.min(row + afterAtOnce, after.features.length));
  }
  return mutual(nearestBefore, nearestAfter, threshold).map(([of, to, cosine]) => ({ before: before.features[to]!, after: after.features[of]!, cosine }));
}

/** For each row of one side the nearest of the other so far. */
class Nearest {
  readonly index: Int32Array;
  readonly cosine: Float32Array;

  constructor(rows: number) {
    this.index = new Int32Array(rows).fill(-1);
    this.cosine = new Float32Array(rows).fill(-Infinity);
  }

  /** Takes what is nearer in a block whose rows begin at `from` and whose columns begin at `offset`. */
  take(from: number, offset: number, { index, cosine }: { index: ArrayLike<number>; cosine: ArrayLike<number> }): void {
    for (let at = 0; at < cosine.length; at++) {
      if (cosine[at]! <= this.cosine[from + at]!) continue;
      this.cosine[from + at] = cosine[at]!;
      this.index[from + at] = offset + index[at]!;
    }
  }
}

function mutual(of: Nearest, to: Nearest, threshold: number): [of: number, to: number, cosine: number][] {
  const pairs: [number, number, number][] = [];
  of.index.forEach((other, row) => {
    const cosine = of.cosine[row]!;
    if (other >= 0 && cosine >= threshold && to.index[other] === row) pairs.push([row, other, cosine]);
  });
  return pairs;
}

/** The largest of each row (axis 1) or column (axis 0), and where it is. */
function nearestAlong(cosines: tf.Tensor2D, axis: 0 | 1): { index: ArrayLike<number>; cosine: ArrayLike<number> } {
  const [where, largest] = [tf.argMax(cosines, axis), tf.max(cosines, axis)];
  const nearest = { index: where.dataSync(), cosine: largest.dataSync() };
  tf.dispose([where, largest]);
  return nearest;
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
