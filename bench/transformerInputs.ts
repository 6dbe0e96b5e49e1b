// Weights and tokens for benches of the transformer, the same for both sides.
import type { TensorData, TensorInput } from '../data/safetensors.ts';
import { initialParameters } from '../model/transformer.ts';
import { paddedVocabSize, type PipelineConfig } from '../schemas/config.ts';
import { RandomStream } from '../schemas/random.ts';

/** Initial weights by nanoGPT's names, each with `prefix` before it. */
export function transformerWeights({ transformer: { architecture }, tokenize }: PipelineConfig, prefix = 'param.'): Record<string, TensorInput> {
  const parameters = initialParameters(architecture, paddedVocabSize(tokenize.vocabSize), 1);
  return Object.fromEntries(Object.entries(parameters).map(([name, { shape, data }]) => [`${prefix}${name}`, { shape, data: data as TensorData }]));
}

/** Random tokens with frequencies as of words (Zipf's law): token t about as often as 1 / (t + 1). */
export function randomTokens(count: number, vocabSize: number): Int32Array<ArrayBuffer> {
  const stream = new RandomStream(1, 'bench', 'tokens');
  return Int32Array.from({ length: count }, () => Math.floor(vocabSize ** stream.uniform()) - 1);
}

/** `batches` batches of tokens and the ones that follow them, int32 [batches, batch, length]. */
export function tokenBatches(batches: number, batch: number, length: number, vocabSize: number): { tokens: TensorInput; targets: TensorInput } {
  const random = randomTokens(batches * batch * (length + 1), vocabSize);
  const shape = [batches, batch, length];
  const rows = (offset: number) => Int32Array.from({ length: batches * batch * length }, (_, index) => random[Math.floor(index / length) * (length + 1) + (index % length) + offset]!);
  return { tokens: { shape, data: rows(0) }, targets: { shape, data: rows(1) } };
}
