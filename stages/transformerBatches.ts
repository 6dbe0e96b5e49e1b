// Which tokens a step of the transformer's training reads: a pure function of (seed, step), so that a resumed run reads
// on as if it had never stopped, and a step that diverged can be traced to its documents.
import * as tf from '@tensorflow/tfjs-core';
import { randomOffset } from '../data/promptPlan.ts';
import type { DocumentRow } from '../data/tokenShard.ts';
import { documentIndexAt, type TokenStream } from '../data/tokenStream.ts';
import type { Transformer } from '../model/transformer.ts';
import type { TokenBatch } from '../model/transformerTraining.ts';
import type { ArchitectureConfig, TransformerTrainingConfig } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';
import type { BatchProvenance } from './divergence.ts';

export interface TransformerBatches {
  seed: number;
  config: TransformerTrainingConfig;
  architecture: ArchitectureConfig;
  train: TokenStream;
}

/** The micro-batches of a 0-based step. */
export async function batchesAt(batches: TransformerBatches, step: number): Promise<TokenBatch[]> {
  const result: TokenBatch[] = [];
  for (const offsets of offsetsAt(batches, step)) result.push(await sequences(batches.train, offsets, batches.architecture.contextLength));
  return result;
}

/** Sequences at the given offsets as one batch of tokens and next tokens. */
export async function sequences(stream: TokenStream, offsets: number[], contextLength: number): Promise<TokenBatch> {
  const batch = offsets.length;
  const tokens = new Int32Array(batch * contextLength);
  const targets = new Int32Array(batch * contextLength);
  for (let row = 0; row < batch; row++) {
    const text = await stream.read(offsets[row]!, contextLength + 1);
    tokens.set(text.subarray(0, contextLength), row * contextLength);
    targets.set(text.subarray(1), row * contextLength);
  }
  return { tokens, targets, batch };
}

/** The documents a step's sequences are from, and the first token whose loss is not finite with the model as it is now, if any. */
export async function tokenProvenance(batches: TransformerBatches, model: Transformer, step: number): Promise<BatchProvenance> {
  const { train, architecture: { contextLength } } = batches;
  const documents = await train.documents('train');
  const offsets = offsetsAt(batches, step);
  const items = offsets.flatMap((rows, microBatch) =>
    rows.map((offset, row) => ({ microBatch, row, offset, documents: documents.slice(documentIndexAt(documents, offset), documentIndexAt(documents, offset + contextLength) + 1).map(nameOf) })),
  );
  const names = [...new Set(items.flatMap((item) => item.documents))];
  const bad = firstBadToken(await batchesAt(batches, step), offsets, model, contextLength);
  const where = bad === undefined ? '' : `; the first token whose loss is not finite is of ${nameOf(documents[documentIndexAt(documents, bad)]!)}`;
  return { summary: `${items.length} sequences of ${names.length} documents, the first ${names[0]}${where}`, items };
}

/** Offsets of a step's sequences in the training tokens, by micro-batch, from a stream named by the step, as nanoGPT draws them. */
function offsetsAt({ seed, config, architecture, train }: TransformerBatches, step: number): number[][] {
  const stream = new RandomStream(seed, 'trainTransformer', 'batch', step);
  const batch = () => Array.from({ length: config.batchSize }, () => randomOffset(stream, train.length - architecture.contextLength));
  return Array.from({ length: config.gradientAccumulation }, batch);
}

/** Position in the training tokens. */
function firstBadToken(microBatches: TokenBatch[], offsets: number[][], model: Transformer, contextLength: number): number | undefined {
  for (const [micro, { tokens, targets, batch }] of microBatches.entries()) {
    const losses = tf.tidy(() => model.tokenLosses(tf.tensor1d(tokens, 'int32'), tf.tensor1d(targets, 'int32'), batch).dataSync() as Float32Array);
    const bad = losses.findIndex((loss) => !Number.isFinite(loss));
    if (bad >= 0) return offsets[micro]![Math.floor(bad / contextLength)]! + (bad % contextLength);
  }
  return undefined;
}

/** A document as a person finds it. */
export function nameOf({ id, file, line }: DocumentRow): string {
  return `document ${JSON.stringify(id)} (${file}:${line})`;
}
