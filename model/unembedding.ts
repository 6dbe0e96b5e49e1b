// Cross-entropy of the tied unembedding, forward and backward, in chunks of rows: the logits are never all alive, and
// d(logits) = p − onehot is never formed. Its dense part stays unnormalised where that is safe, its one-hot part goes by
// rows of the embedding and of the input.
import * as tf from '@tensorflow/tfjs-core';
import { matMul } from './kernels.ts';
import { lossKernel } from './lossKernel.ts';

/** Rows of logits alive at once: at 50,304 columns, 1,024 rows are 206 MB. */
const chunkRows = 1024;
/** exp of a logit of up to ±70 neither overflows, also summed over millions of columns, nor loses digits. */
const safeLogit = 70;

/** Cross-entropy of every row, nats. final [n, d], embedding [vocabRows, d], targets int32 [n] → [n]. Call inside tf.tidy. */
export function tokenLosses(final: tf.Tensor2D, embedding: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const kernel = lossKernel();
  if (kernel === undefined) return tokenLossesOnTensors(final, embedding, targets);
  const losses = new Float32Array(final.shape[0]);
  kernel.tokenLosses(final.dataSync() as Float32Array, embedding.dataSync() as Float32Array, targets.dataSync() as Int32Array, final.shape[1], losses);
  return tf.tensor1d(losses);
}

/** The same without the native kernel. */
export function tokenLossesOnTensors(final: tf.Tensor2D, embedding: tf.Tensor2D, targets: tf.Tensor1D): tf.Tensor1D {
  const safe = logitsAreSafe(final, embedding);
  return tf.concat1d(chunks(final, targets).map(({ rows, labels }) => tf.tidy(() => lossesOf(rows, tf.gather(embedding, labels), exponentials(rows, embedding, safe)))));
}

export interface UnembeddingGradients {
  /** Mean loss, nats. */
  loss: tf.Scalar;
  /** [n, d] */
  dFinal: tf.Tensor2D;
  /** The embedding's gradient but for its one-hot part, transposed: [d, vocabRows]. */
  dEmbeddingTransposed: tf.Tensor2D;
  /** Its one-hot part: what is to be added to the rows of the embedding named by `targets`, [n, d]. */
  dTargetRows: tf.Tensor2D;
}

/** Mean cross-entropy and its gradients. final [n, d], embedding [vocabRows, d], targets int32 [n]. Call inside tf.tidy. */
export function unembeddingBackward(final: tf.Tensor2D, embedding: tf.Tensor2D, targets: tf.Tensor1D): UnembeddingGradients {
  const count = final.shape[0];
  const safe = logitsAreSafe(final, embedding);
  const dFinals: tf.Tensor2D[] = [];
  let dEmbedding: tf.Tensor2D | undefined;
  let total: tf.Scalar | undefined;
  for (const { rows, labels } of chunks(final, targets)) {
    const [dRows, dChunk, sum] = tf.tidy(() => {
      const { values, sums, logSums } = exponentials(rows, embedding, safe);
      const targetRows = tf.gather(embedding, labels);
      const scale = tf.div<tf.Tensor2D>(1 / count, sums);
      const dRows = tf.sub(tf.mul(matMul(values, embedding), scale), tf.div(targetRows, count));
      return [dRows, matMul(tf.mul(rows, scale), values, true, false), tf.sum(lossesOf(rows, targetRows, { logSums }))];
    }) as [tf.Tensor2D, tf.Tensor2D, tf.Scalar];
    dFinals.push(dRows);
    dEmbedding = addReplacing(dEmbedding, dChunk);
    total = addReplacing(total, sum);
  }
  return {
    loss: tf.div(total!, count),
    dFinal: tf.concat2d(dFinals, 0),
    dEmbeddingTransposed: dEmbedding!,
    dTargetRows: tf.div(final, -count),
  };
}

interface Exponentials {
  /** Proportional to the probabilities, [n, vocabRows]. */
  values: tf.Tensor2D;
  /** Their sums, [n, 1]. */
  sums: tf.Tensor2D;
  /** Logarithm of the sum of exp(logit), [n]. */
  logSums: tf.Tensor1D;
}

/** Where logits are safe, exp and a sum: half the passes over memory that a softmax makes. */
function exponentials(rows: tf.Tensor2D, embedding: tf.Tensor2D, safe: boolean): Exponentials {
  return tf.tidy(() => {
    const logits = matMul(rows, embedding, false, true);
    if (safe) {
      const values = tf.exp(logits);
      const sums = tf.sum<tf.Tensor2D>(values, 1, true);
      return { values, sums, logSums: tf.log(tf.squeeze<tf.Tensor1D>(sums, [1])) };
    }
    const values = tf.softmax(logits);
    // the largest probability is exp(largest logit) / sum
    const logSums = tf.sub<tf.Tensor1D>(tf.max(logits, 1), tf.log(tf.max(values, 1)));
    return { values, sums: tf.ones<tf.Rank.R2>([rows.shape[0], 1]), logSums };
  });
}

/** Whether no logit can be beyond ±70, by the longest row of each factor (Cauchy–Schwarz). */
function logitsAreSafe(final: tf.Tensor2D, embedding: tf.Tensor2D): boolean {
  const longest = (x: tf.Tensor2D) => tf.tidy(() => Math.sqrt(tf.max(tf.sum(tf.square(x), 1)).dataSync()[0]!));
  return longest(final) * longest(embedding) < safeLogit;
}

/** rows, and the embedding's rows of their labels, [n, d] → [n] */
function lossesOf(rows: tf.Tensor2D, targetRows: tf.Tensor2D, { logSums }: Pick<Exponentials, 'logSums'>): tf.Tensor1D {
  return tf.sub(logSums, tf.sum<tf.Tensor1D>(tf.mul(rows, targetRows), 1));
}

function chunks(final: tf.Tensor2D, targets: tf.Tensor1D): { rows: tf.Tensor2D; labels: tf.Tensor1D }[] {
  const [count, d] = final.shape;
  return Array.from({ length: Math.ceil(count / chunkRows) }, (_, index) => {
    const start = index * chunkRows;
    const size = Math.min(chunkRows, count - start);
    return { rows: tf.slice2d(final, [start, 0], [size, d]), labels: tf.slice1d(targets, start, size) };
  });
}

function addReplacing<T extends tf.Tensor>(total: T | undefined, more: T): T {
  if (total === undefined) return more;
  const sum = tf.add<T>(total, more);
  tf.dispose([total, more]);
  return sum;
}
