// Causal attention with its hand-written backward pass, and attention of a few kept queries. All of it in blocks of
// queries: keys beyond a block's end are never multiplied, and a block's scores stay in the processor's cache.
import * as tf from '@tensorflow/tfjs-core';

/** Queries in one block of training's attention: measured, of 64, 128 and 256, at T = 256 and 1,024. */
const queryBlock = 128;
const masked = -1e9;

export interface AttentionCache {
  /** Attention probabilities of each query block, [batch · heads, queries, keys up to the block's end]. */
  probabilities: tf.Tensor3D[];
}

/**
 * Causal attention. q (already divided by √head), k, v [batch · heads, T, head] → z of the same shape.
 */
export function causalAttention(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D): { z: tf.Tensor3D; cache: AttentionCache } {
  const [heads, length, width] = q.shape;
  const outputs: tf.Tensor3D[] = [];
  const probabilities: tf.Tensor3D[] = [];
  for (const { start, size, end } of blocks(length)) {
    const [output, probability] = tf.tidy(() => {
      const scores = tf.matMul(tf.slice3d(q, [0, start, 0], [heads, size, width]), tf.slice3d(k, [0, 0, 0], [heads, end, width]), false, true);
      const probability = maskedSoftmax(scores, causalMask(start, size));
      return [tf.matMul(probability, tf.slice3d(v, [0, 0, 0], [heads, end, width])), probability] as const;
    }) as [tf.Tensor3D, tf.Tensor3D];
    outputs.push(output);
    probabilities.push(probability);
  }
  return { z: joinBlocks(outputs), cache: { probabilities } };
}

/** Gradients of causalAttention with respect to q (scaled), k and v, each [batch · heads, T, head]. */
export function causalAttentionBackward(
  dz: tf.Tensor3D,
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  z: tf.Tensor3D,
  cache: AttentionCache,
): { dq: tf.Tensor3D; dk: tf.Tensor3D; dv: tf.Tensor3D } {
  const [heads, length, width] = q.shape;
  const dqs: tf.Tensor3D[] = [];
  let dk: tf.Tensor3D | undefined;
  let dv: tf.Tensor3D | undefined;
  blocks(length).forEach(({ start, size, end }, index) => {
    const [dqBlock, dkBlock, dvBlock] = tf.tidy(() => {
      const probability = cache.probabilities[index]!;
      const part = (x: tf.Tensor3D) => tf.slice3d(x, [0, start, 0], [heads, size, width]);
      const upToEnd = (x: tf.Tensor3D) => tf.slice3d(x, [0, 0, 0], [heads, end, width]);
      const dzBlock = part(dz);
      const along = tf.sum(tf.mul(dzBlock, part(z)), -1, true);
      const dScores = tf.tidy(() => tf.mul<tf.Tensor3D>(tf.sub(tf.matMul(dzBlock, upToEnd(v), false, true), along), probability));
      const padded = (x: tf.Tensor3D) => (end === length ? x : tf.pad3d(x, [[0, 0], [0, length - end], [0, 0]]));
      return [tf.matMul(dScores, upToEnd(k)), padded(tf.matMul(dScores, part(q), true)), padded(tf.matMul(probability, dzBlock, true))];
    }) as [tf.Tensor3D, tf.Tensor3D, tf.Tensor3D];
    dqs.push(dqBlock);
    dk = addReplacing(dk, dkBlock);
    dv = addReplacing(dv, dvBlock);
  });
  return { dq: joinBlocks(dqs), dk: dk!, dv: dv! };
}

function addReplacing(total: tf.Tensor3D | undefined, more: tf.Tensor3D): tf.Tensor3D {
  if (total === undefined) return more;
  const sum = tf.add<tf.Tensor3D>(total, more);
  tf.dispose([total, more]);
  return sum;
}

function joinBlocks(parts: tf.Tensor3D[]): tf.Tensor3D {
  if (parts.length === 1) return parts[0]!;
  const joined = tf.concat3d(parts, 1);
  tf.dispose(parts);
  return joined;
}

function blocks(length: number): { start: number; size: number; end: number }[] {
  const count = Math.ceil(length / queryBlock);
  return Array.from({ length: count }, (_, index) => {
    const start = index * queryBlock;
    const size = Math.min(queryBlock, length - start);
    return { start, size, end: start + size };
  });
}

/** softmax(scores + mask) over the last axis; `scores` is disposed. */
function maskedSoftmax<T extends tf.Tensor>(scores: T, mask: tf.Tensor): T {
  return tf.tidy(() => {
    const sum = tf.add<T>(scores, mask);
    scores.dispose();
    return tf.softmax(sum);
  });
}

/** Additive mask [1, size, start + size]: −1e9 where the key comes after the query. */
function causalMask(start: number, size: number): tf.Tensor3D {
  const end = start + size;
  const values = new Float32Array(size * end);
  for (let row = 0; row < size; row++) values.fill(masked, row * end + start + row + 1, (row + 1) * end);
  return tf.tensor3d(values, [1, size, end]);
}

/** Most kept queries in one block of `attentionAtPositions`; blocks are of nearly equal size. */
const keptBlock = 72;
/** exp of a score of up to ±70 neither overflows, also summed over millions of keys, nor loses digits. */
const safeScore = 70;

/**
 * Attention of a few kept queries only: q [batch · heads, P, head] at `positions` [batch · P] (row-major), against all
 * keys and values [batch · heads, T, head] → [batch · heads, P, head]. Any order of positions is right; ascending ones
 * within each prompt are fast, because a block of queries sees no keys beyond its last position. Call inside tf.tidy.
 */
export function attentionAtPositions(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D, positions: Int32Array, batch: number): tf.Tensor3D {
  const [rows, kept, width] = q.shape;
  const longest = (x: tf.Tensor3D) => tf.tidy(() => Math.sqrt(tf.max(tf.sum(tf.square(x), 2)).dataSync()[0]!));
  const safe = longest(q) * longest(k) < safeScore;
  const outputs: tf.Tensor3D[] = [];
  const blockSize = Math.ceil(kept / Math.ceil(kept / keptBlock));
  for (let start = 0; start < kept; start += blockSize) {
    const size = Math.min(blockSize, kept - start);
    const ofBlock = Int32Array.from({ length: batch * size }, (_, row) => positions[Math.floor(row / size) * kept + start + (row % size)]!);
    const queries = tf.slice3d(q, [0, start, 0], [rows, size, width]);
    outputs.push(tf.tidy(() => (safe ? unshifted : shifted)(queries, k, v, ofBlock, batch)));
  }
  return joinBlocks(outputs);
}

/** By softmax, whatever the scores. */
function shifted(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D, positions: Int32Array, batch: number): tf.Tensor3D {
  const [rows, size, width] = q.shape;
  const end = 1 + positions.reduce((a, b) => Math.max(a, b));
  const scores = tf.matMul<tf.Tensor3D>(q, tf.slice3d(k, [0, 0, 0], [rows, end, width]), false, true);
  const probability = maskedSoftmax(byPrompt(scores, batch), tf.mul(tf.sub(1, visibility(positions, 0, end, batch)), masked));
  return tf.matMul(tf.reshape<tf.Rank.R3>(probability, [rows, size, end]), tf.slice3d(v, [0, 0, 0], [rows, end, width]));
}

/** By exp and a sum, half the passes of a softmax; only keys that some query of the block must not see are masked. */
function unshifted(q: tf.Tensor3D, k: tf.Tensor3D, v: tf.Tensor3D, positions: Int32Array, batch: number): tf.Tensor3D {
  const [rows, size, width] = q.shape;
  const seenByAll = 1 + positions.reduce((a, b) => Math.min(a, b));
  const end = 1 + positions.reduce((a, b) => Math.max(a, b));
  const part = (from: number, to: number) => {
    const scores = tf.matMul<tf.Tensor3D>(q, tf.slice3d(k, [0, from, 0], [rows, to - from, width]), false, true);
    const all = tf.exp(scores);
    scores.dispose();
    const weights = to === seenByAll ? all : tf.reshape<tf.Rank.R3>(tf.mul<tf.Tensor4D>(byPrompt(all, batch), visibility(positions, from, to, batch)), [rows, size, to - from]);
    return { sum: tf.sum(weights, 2, true), z: tf.matMul(weights, tf.slice3d(v, [0, from, 0], [rows, to - from, width])) };
  };
  const first = part(0, seenByAll);
  if (end === seenByAll) return tf.div<tf.Tensor3D>(first.z, first.sum);
  const second = part(seenByAll, end);
  return tf.div<tf.Tensor3D>(tf.add(first.z, second.z), tf.add(first.sum, second.sum));
}

/** [batch · heads, size, keys] → [batch, heads, size, keys] */
function byPrompt(scores: tf.Tensor3D, batch: number): tf.Tensor4D {
  const [rows, size, keys] = scores.shape;
  return tf.reshape(scores, [batch, rows / batch, size, keys]);
}

/** [batch, 1, size, to − from]: 1 where the key is not after the query, else 0. */
function visibility(positions: Int32Array, from: number, to: number, batch: number): tf.Tensor4D {
  return tf.tidy(() => {
    const queries = tf.tensor4d(positions, [batch, 1, positions.length / batch, 1], 'int32');
    return tf.cast<tf.Tensor4D>(tf.greaterEqual<tf.Tensor4D>(queries, tf.range(from, to, 1, 'int32')), 'float32');
  });
}
